import { asTenantId, type Claim, type Clock, Fault, type Millis, NAME_PATTERN, type Random, type TenantId } from "#kernel";
import type { Journal, Meters } from "#state";
import { FREE_VERSION, type PriceLookup, type Rates, ratesOf } from "../prices/index.ts";
import { BookWriter, ROUND_KEYS_MAX } from "./book-writer.ts";
import { readCharges } from "./charges.ts";
import { checkClaim, wrong } from "./claim-check.ts";
import { type Posted, type PricedClaim, postClaims } from "./claim-posting.ts";
import type { Charge, Correction, Ledger, PostedCorrection, UsageQuery, UsageRow } from "./contract.ts";
import { checkCorrection, correctionKeys, postCorrection, readCorrections } from "./corrections.ts";
import { requestKey } from "./request-state.ts";
import { readUsage } from "./usage-rows.ts";

/** Told what the ledger does, for the metrics. */
export interface LedgerEvents {
  /** Entries that are durable. */
  entriesPosted(count: number): void;
  /** Claims that came after their request's end and said nothing new. */
  lateClaims(count: number): void;
  /** Somebody else wrote in a book first; what was to be written is computed again. */
  conflict(): void;
}

export interface LedgerDeps {
  readonly journal: Journal;
  /** Where money is held for requests until they are posted. */
  readonly meters: Pick<Meters, "release">;
  readonly clock: Clock;
  readonly random: Random;
  readonly price: PriceLookup;
  readonly events?: LedgerEvents;
}

/** A ledger over a store's books, one per tenant, of the tenant's name. Any number of ledgers may share them. */
export function createLedger(deps: LedgerDeps): Ledger {
  return new BookLedger(deps);
}

class BookLedger implements Ledger {
  readonly #deps: LedgerDeps;
  readonly #writer: BookWriter;

  constructor(deps: LedgerDeps) {
    const { events } = deps;
    this.#deps = deps;
    this.#writer = new BookWriter({ ...deps, ...(events && { onConflict: () => events.conflict() }) });
  }

  async post(claims: readonly Claim[]): Promise<void> {
    for (const claim of claims) checkClaim(claim);
    const priced = await this.#price(claims);
    const posts: Promise<Posted>[] = [];
    for (const [tenantId, own] of Map.groupBy(priced, ({ claim }) => claim.tenantId)) {
      for (let first = 0; first < own.length; first += ROUND_KEYS_MAX)
        posts.push(this.#postTo(tenantId, own.slice(first, first + ROUND_KEYS_MAX)));
    }
    await Promise.all(posts);
  }

  async correct(correction: Correction): Promise<number> {
    checkCorrection(correction);
    const { clock } = this.#deps;
    const outcome = await this.#writer.write(correction.tenantId, correctionKeys(correction), (book) =>
      postCorrection(book, correction, clock.now()),
    );
    if (outcome.kind === "posted") return outcome.position;
    if (outcome.kind === "request_unknown") {
      throw new Fault("parameter_invalid", `request_id: ${correction.tenantId} has no charged request ${correction.requestId}`, {
        detail: { field: "request_id" },
      });
    }
    throw new Fault("resource_exists", `the correction ${correction.id} was posted with other content`, {
      detail: { resource: correction.id },
    });
  }

  async usage(query: UsageQuery): Promise<readonly UsageRow[]> {
    const books = query.tenantId === undefined ? await this.tenants() : [query.tenantId];
    return readUsage(this.#deps.journal, books, query);
  }

  async corrections(tenantId: TenantId, since: Millis, until: Millis): Promise<readonly PostedCorrection[]> {
    const all = await readCorrections(this.#deps.journal, tenantId);
    return all.filter(({ postedAt }) => postedAt >= since && postedAt < until);
  }

  charges(tenantId: TenantId, since: Millis, until: Millis): AsyncIterable<Charge> {
    return readCharges(this.#deps.journal, tenantId, since, until);
  }

  async tenants(): Promise<readonly TenantId[]> {
    const books = await this.#deps.journal.books();
    return books.filter((book) => NAME_PATTERN.test(book)).map(asTenantId);
  }

  async #postTo(tenantId: TenantId, claims: readonly PricedClaim[]): Promise<Posted> {
    const { clock, events, meters } = this.#deps;
    const keys = claims.map(({ claim }) => requestKey(claim.requestId));
    const posted = await this.#writer.write(tenantId, keys, (book) => postClaims(book, claims, clock.now()));
    if (posted.entries > 0) events?.entriesPosted(posted.entries);
    if (posted.late > 0) events?.lateClaims(posted.late);
    // Their charge is in the book already, so that no change to it can end what was held for them again.
    if (posted.repeated.length > 0) await meters.release(tenantId, posted.repeated);
    return posted;
  }

  async #price(claims: readonly Claim[]): Promise<readonly PricedClaim[]> {
    const rates = new Map<string, Rates>();
    const priced: PricedClaim[] = [];
    for (const claim of claims) {
      const key = `${claim.priceVersion} ${claim.baseName}`;
      const known = rates.get(key) ?? (await this.#ratesOf(claim));
      rates.set(key, known);
      priced.push({ claim, rates: known });
    }
    return priced;
  }

  async #ratesOf(claim: Claim): Promise<Rates> {
    if (claim.priceVersion === FREE_VERSION) return ratesOf(undefined, claim.baseName);
    const price = await this.#deps.price(claim.priceVersion);
    if (!price) throw wrong(claim, "priceVersion", `${claim.priceVersion}, which does not exist`);
    return ratesOf(price, claim.baseName);
  }
}
