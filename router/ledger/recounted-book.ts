import type { RecountPrices } from "./recount.ts";
import { type ClaimLine, type CorrectionLine, type EntryLine, type NodeHoursLine, type RawLine, readRawLine } from "./recounted-line.ts";

type Report = (what: string, position?: number) => void;

/** Prompt, cached, completion and trained tokens. */
type Tokens = [number, number, number, number];

/** One request: what its claims come to, and what its entries say. */
interface Request {
  readonly position: number;
  readonly base: string;
  readonly priceVersion: number;
  readonly admittedAt: number;
  project: string | null;
  key: string | null;
  model: string | null;
  readonly tokens: Tokens;
  readonly entered: Tokens;
  enteredNanoUsd: bigint;
}

const KINDS = ["prompt", "cached", "completion", "training"] as const;

/** A book's lines, added up by hand. Part of the recount: imports nothing of what writes books. */
export class RecountedBook {
  readonly #book: string;
  readonly #prices: ReadonlyMap<number, RecountPrices>;
  readonly #report: Report;
  readonly #requests = new Map<string, Request>();
  readonly #corrections = new Set<string>();
  readonly #counters = new Map<string, bigint>();
  readonly #sums = { claims: 0, entries: 0, corrections: 0, nanoUsd: 0n };

  constructor(book: string, prices: ReadonlyMap<number, RecountPrices>, report: Report) {
    this.#book = book;
    this.#prices = prices;
    this.#report = report;
  }

  /** What the ledger's counters should say, by `<group> <name>`. Complete after {@link close}. */
  get counters(): ReadonlyMap<string, bigint> {
    return this.#counters;
  }

  get sums() {
    return { ...this.#sums, requests: this.#requests.size };
  }

  take(position: number, text: string): void {
    const read = readRawLine(text);
    if (read.kind === "unreadable") this.#report(`the line cannot be read: ${read.why}`, position);
    else this.#takeLine(position, read.line);
  }

  /** After the last line: every claim must have been charged, and the rollups follow from the requests. */
  close(): void {
    for (const [id, request] of this.#requests) {
      const missing = minus(request.tokens, request.entered);
      if (missing.some((tokens) => tokens !== 0))
        this.#report(`request ${id}: claims for ${missing.join(" + ")} tokens have no entry`, request.position);
      this.#roll(request);
    }
  }

  #takeLine(position: number, line: RawLine): void {
    if (line.kind === "claim") this.#takeClaim(position, line);
    else if (line.kind === "entry") this.#takeEntry(position, line);
    else if (line.kind === "correction") this.#takeCorrection(position, line);
    else this.#takeNodeHours(line);
  }

  #takeClaim(position: number, { claim }: ClaimLine): void {
    this.#sums.claims++;
    if (claim.tenantId !== this.#book) this.#report(`the claim is of the tenant ${claim.tenantId}`, position);
    const { promptTokens, cachedTokens, completionTokens, trainedTokens } = claim.usage;
    const request = this.#requests.get(claim.requestId) ?? {
      ...{ position, base: claim.baseName, priceVersion: claim.priceVersion, admittedAt: claim.admittedAt },
      ...{ project: null, key: null, model: null },
      ...{ tokens: [0, 0, 0, 0] as Tokens, entered: [0, 0, 0, 0] as Tokens, enteredNanoUsd: 0n },
    };
    request.project ??= claim.projectId ?? null;
    request.key ??= claim.keyId ?? null;
    request.model ??= claim.model ?? null;
    for (const [index, tokens] of [promptTokens, cachedTokens, completionTokens, trainedTokens].entries()) {
      if (tokens > request.tokens[index]!) request.tokens[index] = tokens;
    }
    this.#requests.set(claim.requestId, request);
  }

  #takeEntry(position: number, entry: EntryLine): void {
    this.#sums.entries++;
    const amount = BigInt(entry.amount);
    const request = this.#requests.get(entry.requestId);
    if (!request) {
      this.#report(`the entry is of request ${entry.requestId}, of which there is no claim`, position);
      this.#post(position, entry.postings, amount, "revenue:");
      return;
    }
    const { promptTokens, cachedTokens, completionTokens, trainedTokens } = entry.tokens;
    const said: Tokens = [promptTokens, cachedTokens, completionTokens, trainedTokens];
    const due = minus(request.tokens, request.entered);
    if (due.join() !== said.join())
      this.#report(`the entry says ${said.join(" + ")} tokens; the claims added ${due.join(" + ")}`, position);
    if (entry.priceVersion !== request.priceVersion)
      this.#report(`the entry has price version ${entry.priceVersion}; the request was admitted under ${request.priceVersion}`, position);
    for (const index of KINDS.keys()) request.entered[index] = request.entered[index]! + said[index]!;
    const price = this.#priceOf(request, request.entered);
    if (price === undefined) this.#report(`there is no price version ${request.priceVersion}`, position);
    else if (price - request.enteredNanoUsd !== amount)
      this.#report(`the entry says ${amount} nano-dollars; its tokens come to ${price - request.enteredNanoUsd}`, position);
    request.enteredNanoUsd += amount;
    this.#post(position, entry.postings, amount, `revenue:${request.base}`);
    this.#spend(amount, request.admittedAt);
  }

  #takeCorrection(position: number, correction: CorrectionLine): void {
    this.#sums.corrections++;
    const amount = BigInt(correction.amount);
    if (this.#corrections.has(correction.id)) this.#report(`the correction ${correction.id} was posted before`, position);
    this.#corrections.add(correction.id);
    if (correction.requestId !== undefined && !this.#requests.has(correction.requestId))
      this.#report(`the correction is of request ${correction.requestId}, of which there is no claim`, position);
    this.#post(position, correction.postings, amount, "adjustments");
    this.#spend(amount, correction.at);
    this.#count("corrections", correction.id, amount);
  }

  #takeNodeHours({ sums }: NodeHoursLine): void {
    for (const { day, base, nodeMs } of sums) this.#count(`nodes/${day}`, base, BigInt(nodeMs));
  }

  /** The tenant owes it, and the account earned it. */
  #post(position: number, postings: readonly (readonly [string, string])[], amount: bigint, account: string): void {
    let balance = 0n;
    for (const [name, posted] of postings) {
      balance += BigInt(posted);
      this.#count("accounts", name, BigInt(posted));
    }
    if (balance !== 0n) this.#report(`the postings add up to ${balance}, not to 0`, position);
    const [debit, credit] = postings;
    const right =
      postings.length === 2 &&
      debit![0] === `receivable:${this.#book}` &&
      BigInt(debit![1]) === amount &&
      (account.endsWith(":") ? credit![0].startsWith(account) : credit![0] === account);
    if (!right) this.#report(`the postings ${JSON.stringify(postings)} do not say that ${this.#book} owes ${amount}`, position);
  }

  #spend(amount: bigint, at: number): void {
    this.#sums.nanoUsd += amount;
    this.#count("spent", "ever", amount);
    this.#count("spent", new Date(at).toISOString().slice(0, "YYYY-MM".length), amount);
  }

  #priceOf({ priceVersion, base }: Request, [prompt, cached, completion, training]: Tokens): bigint | undefined {
    if (priceVersion === 0) return 0n;
    const list = this.#prices.get(priceVersion);
    if (!list) return undefined;
    const rates = Object.hasOwn(list.bases, base) ? list.bases[base]! : list.default;
    const prompts = BigInt(prompt - cached) * BigInt(rates.prompt) + BigInt(cached) * BigInt(rates.cached);
    return prompts + BigInt(completion) * BigInt(rates.completion) + BigInt(training) * BigInt(rates.training);
  }

  #roll(request: Request): void {
    const admitted = new Date(request.admittedAt);
    const group = `usage/${admitted.toISOString().slice(0, "YYYY-MM-DD".length)}`;
    const minute = admitted.getUTCHours() * 60 + admitted.getUTCMinutes();
    const place = [minute, request.project, request.key, request.model, request.base, request.priceVersion];
    const count = (measure: string, amount: bigint) => this.#count(group, JSON.stringify([...place, measure]), amount);
    count("requests", 1n);
    for (const [index, kind] of KINDS.entries()) count(kind, BigInt(request.tokens[index]!));
    count("nanoUsd", this.#priceOf(request, request.tokens) ?? request.enteredNanoUsd);
  }

  #count(group: string, name: string, amount: bigint): void {
    const key = `${group} ${name}`;
    this.#counters.set(key, (this.#counters.get(key) ?? 0n) + amount);
  }
}

function minus(one: Tokens, other: Tokens): Tokens {
  return [one[0] - other[0], one[1] - other[1], one[2] - other[2], one[3] - other[3]];
}
