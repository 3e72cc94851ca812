import { asKeyId, asTenantId, type Claim, Fault, mergeUsage, NO_USAGE, type Outcome, type Usage } from "#kernel";
import type { Ledger, Posting, UsageDimension, UsageQuery, UsageRow } from "../contract.ts";
import type { Database, Row } from "./database.ts";

/** What is known of how a request ended, from least to best: a failed attempt that another one completed was completed. */
const OUTCOMES: readonly Outcome[] = ["running", "failed", "cancelled", "completed"];

/** The column, or what is computed of one, behind each dimension. */
const DIMENSIONS: Readonly<Record<UsageDimension, string>> = {
  tenant: "tenant_id",
  model: "model",
  key: "key_id",
  day: "strftime('%Y-%m-%d', admitted_at / 1000, 'unixepoch')",
};

/** What the claims of one request come to; the attributes are those of the first claim that named them. */
interface Merged {
  readonly tenantId: string;
  readonly keyId: string | null;
  readonly model: string | null;
  readonly baseDigest: string;
  readonly deltaDigest: string | null;
  readonly priceVersion: number;
  readonly admittedAt: number;
  readonly outcome: Outcome;
  readonly usage: Usage;
}

/** The ledger in SQLite: raw claims, merged requests and postings, changed together or not at all. */
export class EmbeddedLedger implements Ledger {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async post(claims: readonly Claim[]): Promise<readonly Posting[]> {
    for (const claim of claims) check(claim);
    if (claims.length === 0) return [];
    return this.#database.transaction(() => claims.map((claim) => this.#post(claim)));
  }

  async usage(query: UsageQuery): Promise<readonly UsageRow[]> {
    const names = [...new Set(query.by)];
    const grouped = names.map((name) => `"${name}"`).join(", ");
    const columns = [...names.map((name) => `${DIMENSIONS[name]} AS "${name}"`), ...SUMS];
    const conditions = [
      ...(query.tenantId === undefined ? [] : [["tenant_id = ?", query.tenantId] as const]),
      ...(query.since === undefined ? [] : [["admitted_at >= ?", query.since] as const]),
      ...(query.until === undefined ? [] : [["admitted_at < ?", query.until] as const]),
    ];
    const where = conditions.length === 0 ? "" : `WHERE ${conditions.map(([condition]) => condition).join(" AND ")}`;
    const group = names.length === 0 ? "" : `GROUP BY ${grouped} ORDER BY ${grouped}`;
    const sql = `SELECT ${columns.join(", ")} FROM requests ${where} ${group}`;
    const rows = this.#database.all(sql, ...conditions.map(([, value]) => value));
    return rows.filter((row) => row["requests"] !== 0).map(usageRow);
  }

  #post(claim: Claim): Posting {
    const row = this.#database.get("SELECT * FROM requests WHERE request_id = ?", claim.requestId);
    const before = row && mergedRow(row);
    const after = before ? merge(before, claim) : first(claim);
    const added = difference(after.usage, before?.usage ?? NO_USAGE);
    if (!before || !equal(before, after)) {
      this.#database.run("INSERT INTO claims (request_id, body) VALUES (?, ?)", claim.requestId, JSON.stringify(claim));
      this.#database.run(UPSERT, claim.requestId, ...values(after));
    }
    if (!before || added.promptTokens + added.cachedTokens + added.completionTokens > 0)
      this.#database.run(POST, claim.requestId, added.promptTokens, added.cachedTokens, added.completionTokens);
    return { requestId: claim.requestId, ...added };
  }
}

const SUMS = [
  "COUNT(*) AS requests",
  "SUM(prompt_tokens) AS prompt_tokens",
  "SUM(cached_tokens) AS cached_tokens",
  "SUM(completion_tokens) AS completion_tokens",
];

const POST = "INSERT INTO postings (request_id, prompt_tokens, cached_tokens, completion_tokens) VALUES (?, ?, ?, ?)";

const UPSERT = `
  INSERT OR REPLACE INTO requests (request_id, tenant_id, key_id, model, base_digest, delta_digest, price_version, admitted_at,
    outcome, prompt_tokens, cached_tokens, completion_tokens)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/** The last line of defence: a count that can't be would stay in the sums for ever. */
function check(claim: Claim): void {
  const counts = { ...claim.usage, priceVersion: claim.priceVersion, admittedAt: claim.admittedAt };
  for (const [field, count] of Object.entries(counts)) {
    if (!Number.isSafeInteger(count) || count < 0)
      throw new Fault("parameter_invalid", `claim of request ${claim.requestId}: ${field} is ${count}`, { detail: { field } });
  }
}

function first(claim: Claim): Merged {
  return {
    tenantId: claim.tenantId,
    keyId: claim.keyId ?? null,
    model: claim.model ?? null,
    baseDigest: claim.baseDigest,
    deltaDigest: claim.deltaDigest ?? null,
    priceVersion: claim.priceVersion,
    admittedAt: claim.admittedAt,
    outcome: claim.outcome,
    usage: mergeUsage(NO_USAGE, claim.usage),
  };
}

function merge(known: Merged, claim: Claim): Merged {
  return {
    ...known,
    keyId: known.keyId ?? claim.keyId ?? null,
    model: known.model ?? claim.model ?? null,
    deltaDigest: known.deltaDigest ?? claim.deltaDigest ?? null,
    outcome: OUTCOMES[Math.max(OUTCOMES.indexOf(known.outcome), OUTCOMES.indexOf(claim.outcome))]!,
    usage: mergeUsage(known.usage, claim.usage),
  };
}

function difference(after: Usage, before: Usage): Usage {
  return {
    promptTokens: after.promptTokens - before.promptTokens,
    cachedTokens: after.cachedTokens - before.cachedTokens,
    completionTokens: after.completionTokens - before.completionTokens,
  };
}

function values(merged: Merged) {
  const { usage } = merged;
  const attributes = [merged.tenantId, merged.keyId, merged.model, merged.baseDigest, merged.deltaDigest, merged.priceVersion];
  return [...attributes, merged.admittedAt, merged.outcome, usage.promptTokens, usage.cachedTokens, usage.completionTokens];
}

function equal(one: Merged, other: Merged): boolean {
  const others = values(other);
  return values(one).every((value, index) => value === others[index]);
}

function usageOf(row: Row): Usage {
  return {
    promptTokens: row["prompt_tokens"] as number,
    cachedTokens: row["cached_tokens"] as number,
    completionTokens: row["completion_tokens"] as number,
  };
}

function mergedRow(row: Row): Merged {
  return {
    tenantId: row["tenant_id"] as string,
    keyId: row["key_id"] as string | null,
    model: row["model"] as string | null,
    baseDigest: row["base_digest"] as string,
    deltaDigest: row["delta_digest"] as string | null,
    priceVersion: row["price_version"] as number,
    admittedAt: row["admitted_at"] as number,
    outcome: row["outcome"] as Outcome,
    usage: usageOf(row),
  };
}

function usageRow(row: Row): UsageRow {
  return {
    ...(typeof row["tenant"] === "string" && { tenantId: asTenantId(row["tenant"]) }),
    ...(typeof row["model"] === "string" && { model: row["model"] }),
    ...(typeof row["key"] === "string" && { keyId: asKeyId(row["key"]) }),
    ...(typeof row["day"] === "string" && { day: row["day"] }),
    requests: row["requests"] as number,
    ...usageOf(row),
  };
}
