import type { Attempt, UsageTold } from "./ask.ts";
import type { BookedRequest } from "./booked-requests.ts";
import type { Kill } from "./kills.ts";
import { type Reference, type References, referenceKey } from "./reference-texts.ts";
import type { ShotRecord } from "./storm-load.ts";

/** A promise that was broken; `rule` is its number in the list of invariants. */
export interface Violation {
  readonly rule: string;
  readonly what: string;
}

/** What clients saw, what the books say, and who was killed meanwhile. */
export interface StormEvidence {
  readonly records: readonly ShotRecord[];
  readonly booked: ReadonlyMap<string, BookedRequest>;
  readonly kills: readonly Kill[];
  readonly references: References;
  /** The tenant whose every request must be refused. */
  readonly refusedTenant: string;
}

export interface StormFigures {
  readonly tokensReceived: number;
  readonly tokensCharged: number;
  /** Received and not charged, over all requests: only a killed router may leave any. */
  readonly tokensUncharged: number;
  readonly uncharged: readonly number[];
  /** Charged and not received, by requests that did not end well: they were on their way when it ended. */
  readonly tokensInFlight: number;
  readonly inFlightMax: number;
  /** Charges of requests whose clients never heard of an id. */
  readonly chargesUnheardOf: number;
}

/** What a router may have handed on and not yet written down, per request. */
const GROUP_TOKENS = 16;
/** How long after its death a client may still be reading what a router sent before it. */
const DEATH_MS = 1_000;
/** Stamps of router and client are of one clock, cut to milliseconds. */
const STAMP_MS = 5;
/** How long a router that the machine gives no time may not have noticed that a client left, or broke off. */
const UNNOTICED_MS = 3_000;
/** Every call of a storm is answered, or broken off by a death, long before. */
const HUNG_MS = 50_000;
/** What a client hears when the server died; anything else was said by a server that lived, and charged nothing. */
const DIED: ReadonlySet<string> = new Set(["node_lost"]);

/** What may be said to a request that can be served, while parts of the cluster are dead: come again. */
const TRANSIENT: ReadonlySet<string> = new Set([
  ...["node_lost", "node_draining", "engine_lost", "no_ready_node", "store_unreachable", "shutting_down", "delta_unavailable"],
  ...["request_running", "queue_full", "capacity_exhausted", "rate_limit_exceeded", "version_conflict"],
]);

/** Compares what clients saw with the books. Pure: the same evidence, the same verdict. */
export function checkStorm(evidence: StormEvidence): { readonly violations: readonly Violation[]; readonly figures: StormFigures } {
  const judge = new StormJudge(evidence);
  for (const record of evidence.records) judge.record(record);
  judge.books();
  return { violations: judge.violations, figures: judge.figures() };
}

type Call = ShotRecord["attempts"][number];

/** The kill of the router that had, or had just had, this call in hand. */
export function killUnder({ router, startedAt, endedAt }: Call, kills: readonly Kill[]): Kill | undefined {
  const name = `router-${router + 1}`;
  return kills.find((kill) => kill.name === name && kill.at >= startedAt && kill.at <= endedAt + DEATH_MS);
}

class StormJudge {
  readonly violations: Violation[] = [];
  readonly #evidence: StormEvidence;
  /** By request id: the most that one of its calls received. */
  readonly #heardOf = new Map<string, number>();
  readonly #uncharged: number[] = [];
  readonly #inFlight: number[] = [];
  /** Calls that may have been charged without their clients' hearing of an id. */
  readonly #nameless: { readonly record: ShotRecord; readonly call: Call }[] = [];
  #charged = 0;
  #unheardOf = 0;

  constructor(evidence: StormEvidence) {
    this.#evidence = evidence;
  }

  record(record: ShotRecord): void {
    const { shot, attempts } = record;
    for (const call of attempts) {
      for (const breach of call.breaches) this.#violate("P7", record, breach);
      if (call.endedAt - call.startedAt > HUNG_MS) this.#violate("P6", record, `hung for ${call.endedAt - call.startedAt} ms`);
      if (shot.refusal) this.#refused(record, call);
      else this.#call(record, call);
    }
    if (shot.ask.idempotencyKey !== undefined) this.#idempotent(record);
  }

  books(): void {
    // In order of time, each with the call that ends first: so that no call is taken from a charge that has no other.
    for (const request of [...this.#evidence.booked.values()].sort((one, other) => one.admittedAt - other.admittedAt)) {
      const { requestId, tenantId, claimed, charged } = request;
      if (!same(claimed, charged)) this.#fail("B2", `${requestId} was charged ${told(charged)}, its claims come to ${told(claimed)}`);
      if (tenantId === this.#evidence.refusedTenant) this.#fail("B7", `${requestId} was refused and charged ${told(charged)}`);
      else if (!this.#heardOf.has(requestId)) this.#unheard(request);
      this.#charged += charged.completionTokens;
    }
  }

  figures(): StormFigures {
    return {
      tokensReceived: sum([...this.#heardOf.values()]),
      tokensCharged: this.#charged,
      tokensUncharged: sum(this.#uncharged),
      uncharged: this.#uncharged,
      tokensInFlight: sum(this.#inFlight),
      inFlightMax: Math.max(0, ...this.#inFlight),
      chargesUnheardOf: this.#unheardOf,
    };
  }

  #refused(record: ShotRecord, call: Call): void {
    if (call.ending === "completed") this.#violate("B7", record, "was to be refused and was answered");
  }

  #call(record: ShotRecord, call: Call): void {
    const reference = this.#evidence.references.get(referenceKey(record.shot.ask))!;
    if (!prefixOf(call, reference)) this.#violate("P8", record, `gave another text than its model gives: ${JSON.stringify(call.text)}`);
    if (call.fault && !TRANSIENT.has(call.fault.reason))
      this.#violate("fault", record, `was told ${call.fault.reason}, as if it could not be served: ${call.fault.message}`);
    if (call.requestId === undefined) {
      if (call.ending === "cancelled" || DIED.has(call.fault?.reason ?? "")) this.#nameless.push({ record, call });
    } else this.#named(record, call, reference, call.requestId);
  }

  #named(record: ShotRecord, call: Call, reference: Reference, requestId: string): void {
    const received = call.tokenIds?.length ?? call.usage?.completionTokens ?? 0;
    const booked = this.#evidence.booked.get(requestId);
    const charged = booked?.charged.completionTokens ?? 0;
    if (booked && booked.tenantId !== record.shot.tenant) this.#violate("B1", record, `${requestId} is in the book of ${booked.tenantId}`);
    this.#heardOf.set(requestId, Math.max(received, this.#heardOf.get(requestId) ?? 0));
    if (call.ending === "completed") this.#completed(record, call, reference, booked);
    else this.#cutShort(record, call, received, charged, booked === undefined);
  }

  #completed(record: ShotRecord, call: Call, reference: Reference, booked: BookedRequest | undefined): void {
    const { tokenIds, text, usage } = call;
    if (text !== reference.text) this.#violate("P8", record, `ended well with another text: ${JSON.stringify(text)}`);
    if (!usage || !booked) {
      this.#violate(usage ? "B3" : "B17", record, `${call.requestId} ended well, and ${usage ? "is not in the books" : "told no usage"}`);
      return;
    }
    if (tokenIds && tokenIds.length !== usage.completionTokens)
      this.#violate("B4", record, `${tokenIds.length} tokens, usage ${told(usage)}`);
    if (usage.promptTokens !== reference.promptTokens) this.#violate("B17", record, `tells ${usage.promptTokens} prompt tokens`);
    if (!same(usage, booked.charged)) this.#violate("B17", record, `told ${told(usage)}, charged ${told(booked.charged)}`);
  }

  #cutShort(record: ShotRecord, call: Call, received: number, charged: number, absent: boolean): void {
    const uncharged = received - charged;
    if (uncharged <= 0) {
      // What is asked again under an idempotency key goes on after the client has lost it.
      if (!absent && record.shot.ask.idempotencyKey === undefined) this.#inFlight.push(-uncharged);
      return;
    }
    this.#uncharged.push(uncharged);
    if (!this.#routerDied(call))
      this.#violate(absent ? "B3" : "B4", record, `${call.requestId}: ${received} tokens received, ${charged} charged`);
    else if (uncharged > GROUP_TOKENS) this.#violate("B5", record, `${call.requestId}: its router died, ${uncharged} tokens uncharged`);
  }

  #idempotent(record: ShotRecord): void {
    const { attempts } = record;
    const key = record.shot.ask.idempotencyKey;
    if (attempts.at(-1)!.ending !== "completed")
      this.#violate("P6", record, `${key} was never answered, in ${attempts.length} tries: ${reasons(attempts)}`);
    const ids = new Set(attempts.flatMap((call) => (call.requestId === undefined ? [] : [call.requestId])));
    const charged = [...ids].filter((id) => (this.#evidence.booked.get(id)?.charged.completionTokens ?? 0) > 0);
    if (charged.length > 1) this.#violate("B6", record, `${key} was charged as ${charged.join(" and ")}`);
  }

  /** A charge that no client can name must belong to a call that ended before it was told an id, and to one only. */
  #unheard(request: BookedRequest): void {
    const { tenantId, model, admittedAt, requestId, charged } = request;
    this.#unheardOf++;
    const fits = this.#nameless.filter(
      ({ record: { shot }, call }) =>
        shot.tenant === tenantId &&
        (model === undefined || shot.ask.model === model) &&
        admittedAt >= call.startedAt - STAMP_MS &&
        admittedAt <= call.endedAt + UNNOTICED_MS,
    );
    const [first] = fits.sort(
      (one, other) => Number(idempotent(one.record)) - Number(idempotent(other.record)) || one.call.endedAt - other.call.endedAt,
    );
    if (!first) {
      this.#fail("B7", `${requestId} of ${tenantId} was charged ${told(charged)}, and nobody asked for it`);
      return;
    }
    this.#nameless.splice(this.#nameless.indexOf(first), 1);
    if (idempotent(first.record)) this.#violate("B6", first.record, `its try that got no answer was charged as ${requestId}`);
  }

  #routerDied(call: Call): boolean {
    return killUnder(call, this.#evidence.kills) !== undefined;
  }

  #violate(rule: string, { shot }: ShotRecord, what: string): void {
    this.#fail(rule, `shot ${shot.index} (${shot.tenant}, ${shot.ask.model}, ${shot.door}): ${what}`);
  }

  /** The same again, of another try of the same request, is not worth another line. */
  #fail(rule: string, what: string): void {
    if (!this.violations.some((before) => before.rule === rule && before.what === what)) this.violations.push({ rule, what });
  }
}

function idempotent({ shot }: ShotRecord): boolean {
  return shot.ask.idempotencyKey !== undefined;
}

/** Whether a call, whole or cut short, gave what its model gives. */
function prefixOf({ text, tokenIds }: Attempt, reference: Reference): boolean {
  return reference.text.startsWith(text) && (tokenIds ?? []).every((id, index) => id === reference.tokenIds[index]);
}

function same(one: UsageTold, other: UsageTold): boolean {
  return (
    one.promptTokens === other.promptTokens && one.cachedTokens === other.cachedTokens && one.completionTokens === other.completionTokens
  );
}

function told({ promptTokens, cachedTokens, completionTokens }: UsageTold): string {
  return `${promptTokens} (${cachedTokens} cached) + ${completionTokens}`;
}

function reasons(attempts: readonly Attempt[]): string {
  return attempts.map((attempt) => attempt.fault?.reason ?? attempt.ending).join(", ");
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
