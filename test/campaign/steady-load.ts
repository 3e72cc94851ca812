import { type Random, seededRandom } from "#kernel";
import type { Ask, Attempt } from "./ask.ts";
import { readBooks } from "./booked-requests.ts";
import { judgeDeath, recount } from "./cluster-check.ts";
import { addCustomers, type Customer, heldOutPrompts, setPrices } from "./customers.ts";
import { type DocumentedClient, openDocumentedClient } from "./documented-client.ts";
import type { LiveCluster } from "./live-cluster.ts";
import { runOpenLoop } from "./open-loop.ts";
import { type References, recordReferences, referenceKey } from "./reference-texts.ts";
import type { Violation } from "./storm-check.ts";

/** One request of a steady load: what was asked, and how it ended for its client. */
export interface SteadyRecord {
  readonly tenant: string;
  readonly ask: Ask;
  readonly door: "grpc" | "http";
  readonly lateMs: number;
  readonly attempt: Attempt;
  /** Of them, over HTTP; gRPC's own are its channel's secret. */
  readonly tries: number;
}

/** Most requests are short; one in ten still runs when something happens to who serves it. */
const SHORT_TOKENS = 6;
export const LONG_TOKENS = 96;
const SHARES = { long: 0.1, http: 0.2 } as const;
const TENANTS = ["acme", "globex"] as const;
const PROMPTS_PER_TASK = 1;
const FAILURES_TOLD_MAX = 10;

/**
 * Load of customers with base and deltas, of whom every answer is known beforehand, and whose bill must be what they were
 * told. They are documented clients: what fails for them has failed.
 */
export class SteadyLoad implements Disposable {
  readonly customers: readonly Customer[];
  readonly records: SteadyRecord[] = [];
  readonly #cluster: LiveCluster;
  readonly #clients: ReadonlyMap<string, DocumentedClient>;
  readonly #prompts: readonly string[];
  readonly #references: References;
  readonly #before: ReadonlySet<string>;
  readonly #random: Random;

  private constructor(
    cluster: LiveCluster,
    customers: readonly Customer[],
    known: { readonly prompts: readonly string[]; readonly references: References; readonly before: ReadonlySet<string> },
    random: Random,
  ) {
    this.#cluster = cluster;
    this.customers = customers;
    this.#clients = new Map(customers.map(({ tenant, key }) => [tenant, openDocumentedClient(cluster.routers, key)]));
    this.#prompts = known.prompts;
    this.#references = known.references;
    this.#before = known.before;
    this.#random = random;
  }

  /** Adds the customers and asks for every answer once, while nothing disturbs. */
  static async prepare(cluster: LiveCluster, seed: number): Promise<SteadyLoad> {
    const customers = await addCustomers(cluster, TENANTS);
    await setPrices(cluster);
    const prompts = heldOutPrompts(PROMPTS_PER_TASK);
    const asks = customers.flatMap(({ key, models }) => {
      const channel = cluster.channel(cluster.routers[0]!.grpc, key);
      return models.flatMap((model) => prompts.map((prompt) => ({ channel, ask: steadyAsk(model, prompt, LONG_TOKENS) })));
    });
    const references = await recordReferences(asks);
    await cluster.quiet();
    const before = new Set((await readBooks(cluster.operator)).requests.keys());
    return new SteadyLoad(cluster, customers, { prompts, references, before }, seededRandom(seed).fork("steady"));
  }

  client(tenant: string): DocumentedClient {
    return this.#clients.get(tenant)!;
  }

  /** Requests by a Poisson process until `until` aborts; resolves when the last has ended. */
  async run(ratePerSecond: number, until: AbortSignal): Promise<void> {
    await runOpenLoop({ ratePerSecond, random: this.#random, until }, (_, lateMs) => this.send(this.draw(), lateMs));
  }

  draw(tokens?: number): Omit<SteadyRecord, "lateMs" | "attempt" | "tries"> {
    const { tenant, models } = this.#pick(this.customers);
    const maxTokens = tokens ?? (this.#random.float() < SHARES.long ? LONG_TOKENS : SHORT_TOKENS);
    const door = this.#random.float() < SHARES.http ? "http" : "grpc";
    return { tenant, ask: steadyAsk(this.#pick(models), this.#pick(this.#prompts), maxTokens), door };
  }

  async send(shot: Omit<SteadyRecord, "lateMs" | "attempt" | "tries">, lateMs = 0, onPiece?: () => void): Promise<void> {
    const client = this.client(shot.tenant);
    if (shot.door === "http") {
      const { tries, ...attempt } = await client.overHttp(shot.ask);
      this.records.push({ ...shot, lateMs, attempt, tries });
    } else this.records.push({ ...shot, lateMs, attempt: await client.overGrpc(shot.ask, onPiece), tries: 1 });
  }

  /** What must hold when all has ended: every request was answered, rightly, and charged as told, once. */
  async judge(): Promise<readonly Violation[]> {
    await this.#cluster.quiet();
    const books = await readBooks(this.#cluster.operator);
    const booked = [...books.requests.values()].filter(({ requestId }) => !this.#before.has(requestId));
    return [
      ...this.#failures(),
      ...this.records.flatMap((record) => this.#wrongAnswer(record)),
      ...this.#wrongBill(new Map(booked.map((request) => [request.requestId, request.charged.completionTokens]))),
      ...(await recount(this.#cluster)),
      ...this.#cluster.deaths().flatMap(judgeDeath),
    ];
  }

  get failed(): readonly SteadyRecord[] {
    return this.records.filter(({ attempt }) => attempt.ending !== "completed");
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client[Symbol.dispose]();
  }

  #failures(): readonly Violation[] {
    const told = this.failed.slice(0, FAILURES_TOLD_MAX).map(({ door, ask, attempt }) => {
      const when = attempt.firstPieceMs === undefined ? "before its first piece" : "in the middle";
      const at = new Date(attempt.endedAt).toISOString().slice(11, 23);
      return `${at} a request of ${ask.maxTokens} tokens over ${door} failed ${when}: ${attempt.fault?.reason} (${attempt.fault?.message})`;
    });
    const more = this.failed.length - told.length;
    return [...told, ...(more > 0 ? [`${more} more requests failed`] : [])].map((what) => ({ rule: "failed", what }));
  }

  #wrongAnswer({ ask, attempt }: SteadyRecord): readonly Violation[] {
    const { text, tokenIds } = this.#references.get(referenceKey({ ...ask, maxTokens: LONG_TOKENS }))!;
    const wrong: Violation[] = attempt.breaches.map((what) => ({ rule: "P7", what }));
    const same = attempt.tokenIds ? attempt.tokenIds.every((id, index) => id === tokenIds[index]) : text.startsWith(attempt.text);
    if (!same) wrong.push({ rule: "P8", what: `${ask.model} gave another text than undisturbed: ${JSON.stringify(attempt.text)}` });
    const count = attempt.usage?.completionTokens;
    if (attempt.ending === "completed" && count !== ask.maxTokens)
      wrong.push({ rule: "P7", what: `${ask.maxTokens} tokens were asked for, and ${count} told` });
    return wrong;
  }

  /** Both ways: all that was told is in the books, and nothing else. */
  #wrongBill(charged: ReadonlyMap<string, number>): readonly Violation[] {
    const left = new Map(charged);
    const wrong: Violation[] = [];
    for (const { attempt } of this.records) {
      const id = attempt.requestId ?? "";
      const told = attempt.usage?.completionTokens ?? 0;
      if ((left.get(id) ?? 0) !== told) wrong.push({ rule: "B17", what: `${id} was told ${told} tokens and charged ${left.get(id)}` });
      left.delete(id);
    }
    for (const [id, tokens] of left)
      if (tokens > 0) wrong.push({ rule: "B7", what: `${id} was charged ${tokens} tokens, and nobody heard of it` });
    return wrong.slice(0, FAILURES_TOLD_MAX);
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#random.below(items.length)]!;
  }
}

/** Greedy, and past the end token: so its text and its number of tokens are known. */
export function steadyAsk(model: string, prompt: string, maxTokens: number): Ask {
  return { model, prompt, maxTokens, temperature: 0, seed: 1, ignoreEos: true };
}
