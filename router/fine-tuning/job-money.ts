import { asRequestId, type ClaimOutbox, type Clock, Fault, formatUsd, type NanoUsd, type Outcome, type Tokens } from "#kernel";
import type { Meters } from "#state";
import { type CatalogView, deltaName, type JobRecord } from "../catalog/index.ts";
import { spentCounter } from "../ledger/index.ts";
import { type PriceLookup, ratesOf } from "../prices/index.ts";
import { HOLD_MS } from "./job-limits.ts";

export interface JobMoneyDeps {
  readonly view: CatalogView;
  readonly clock: Clock;
  readonly meters: Meters;
  readonly prices: PriceLookup;
  readonly outbox: ClaimOutbox;
  readonly onTrained: (base: string, tokens: Tokens) => void;
}

/** What a store can hold exactly. */
const MONEY_MAX: NanoUsd = BigInt(Number.MAX_SAFE_INTEGER);

/** What jobs cost: set aside before they train, charged when they are over. A job is one request of the ledger, of its id. */
export class JobMoney {
  readonly #deps: JobMoneyDeps;

  constructor(deps: JobMoneyDeps) {
    this.#deps = deps;
  }

  /** Sets aside what so many trained tokens cost, in place of what was set aside for the job before. @throws Fault budget_spent */
  async hold(job: JobRecord, tokens: Tokens): Promise<void> {
    const { view, meters, prices } = this.#deps;
    const tenant = view.get("tenant", job.tenantId);
    const amount = BigInt(tokens) * ratesOf(await prices(job.priceVersion), job.baseName).training;
    if (!tenant?.budget || amount === 0n) return;
    const { period, nanoUsd } = tenant.budget;
    const budget = BigInt(nanoUsd) < MONEY_MAX ? BigInt(nanoUsd) : MONEY_MAX;
    const short = () =>
      new Fault("budget_spent", `the budget does not cover what this job costs: about $${formatUsd(amount)} for ${tokens} tokens`);
    if (amount > MONEY_MAX) throw short();
    const hold = { amount, budget, spent: spentCounter(period, job.createdAt) };
    const take = await meters.take({ account: tenant.id, id: job.id, draws: [], hold, lifeMs: HOLD_MS });
    if (take.kind === "short") throw short();
    await meters.settle(tenant.id, job.id, {}, "stays"); // Of a tenant's requests at once it is none: only the money stays.
  }

  /**
   * Says what an ended job has come to; durable when it resolves, and the ledger counts it once however often it is said.
   * A job that failed costs nothing. What was set aside and not spent is free again.
   */
  async charge(job: JobRecord, outcome: Exclude<Outcome, "running">): Promise<void> {
    const delta = job.published && this.#deps.view.get("delta", job.published);
    const trainedTokens = outcome === "failed" ? 0 : job.trainedTokens;
    await this.#deps.outbox.write({
      requestId: asRequestId(job.id),
      attempt: 1,
      tenantId: job.tenantId,
      keyId: job.keyId,
      projectId: job.projectId,
      baseDigest: job.baseDigest,
      baseName: job.baseName,
      ...(delta && { deltaDigest: delta.digest }),
      model: delta ? deltaName(delta) : job.baseName,
      priceVersion: job.priceVersion,
      usage: { promptTokens: 0, cachedTokens: 0, completionTokens: 0, trainedTokens },
      outcome,
      admittedAt: job.createdAt,
    });
    this.#deps.onTrained(job.baseName, trainedTokens);
  }
}
