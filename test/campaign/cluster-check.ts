import { formatUsd, type Random } from "#kernel";
import { AdminServiceService, BillingServiceService, claimToMessage, GetUsageRequest, UsageDimension } from "#proto";
import type { UsageTold } from "./ask.ts";
import { type BookedRequest, type Books, readBooks } from "./booked-requests.ts";
import type { Death } from "./kept-process.ts";
import type { LiveCluster } from "./live-cluster.ts";
import { killUnder, type StormEvidence, type Violation } from "./storm-check.ts";
import type { StormPlan } from "./storm-plan.ts";

/** The operators' own recount of the whole ledger from its raw lines. */
export async function recount(cluster: LiveCluster): Promise<readonly Violation[]> {
  const { status, stdout, stderr } = await cluster.command("billing", "verify");
  return status === 0 ? [] : [{ rule: "B1", what: `billing verify ended with ${status}: ${stdout}${stderr}` }];
}

/** What tenants are told in sums, and on their invoices, against the sums of their books' own entries. */
export async function totals(cluster: LiveCluster, { requests }: Books): Promise<readonly Violation[]> {
  const month = new Date().toISOString().slice(0, 7);
  const byTenant = Map.groupBy(requests.values(), ({ tenantId }) => tenantId);
  const { rows } = await cluster.operator.unary(
    BillingServiceService.getUsage,
    GetUsageRequest.fromPartial({ by: [UsageDimension.USAGE_DIMENSION_TENANT] }),
  );
  const violations: Violation[] = [];
  for (const [tenantId, booked] of byTenant) {
    const own = summary(booked);
    const row = rows.find((each) => each.tenantId === tenantId);
    const told = row && [row.requests, row.promptTokens, row.cachedTokens, row.completionTokens, row.amountUsd].join(" ");
    if (told !== own) violations.push({ rule: "B1", what: `the usage of ${tenantId} is told as ${told}, its book comes to ${own}` });
    const { invoice } = await cluster.operator.unary(BillingServiceService.getInvoice, { tenantId, month });
    const due = formatUsd(
      sum(booked.filter(({ admittedAt }) => new Date(admittedAt).toISOString().startsWith(month)).map(({ amount }) => amount)),
    );
    if (invoice?.totalUsd !== due)
      violations.push({ rule: "B1", what: `the invoice of ${tenantId} is $${invoice?.totalUsd}, its book says $${due}` });
  }
  return violations;
}

function summary(booked: readonly BookedRequest[]): string {
  const tokens = (of: keyof UsageTold) => booked.reduce((total, { charged }) => total + charged[of], 0);
  const amount = formatUsd(sum(booked.map((request) => request.amount)));
  return [booked.length, tokens("promptTokens"), tokens("cachedTokens"), tokens("completionTokens"), amount].join(" ");
}

function sum(amounts: readonly bigint[]): bigint {
  return amounts.reduce((total, amount) => total + amount, 0n);
}

/** As many as one message takes. */
const CLAIMS_PER_MESSAGE = 1_000;

/** Posts every claim of all books again, twice, in another order, through both routers: no book may gain a line. */
export async function replay(cluster: LiveCluster, random: Random): Promise<readonly Violation[]> {
  const before = await readBooks(cluster.operator);
  const claims = [...before.claims, ...before.claims]
    .map((claim) => ({ claim, order: random.float() }))
    .sort((one, other) => one.order - other.order)
    .map(({ claim }) => claimToMessage(claim));
  const channels = cluster.routers.map((router) => cluster.channel(router.grpc, cluster.clusterKey));
  for (let from = 0; from < claims.length; from += CLAIMS_PER_MESSAGE) {
    const channel = channels[(from / CLAIMS_PER_MESSAGE) % channels.length]!;
    await channel.unary(BillingServiceService.submitClaims, { claims: claims.slice(from, from + CLAIMS_PER_MESSAGE) });
  }
  const after = await readBooks(cluster.operator);
  if (after.lines === before.lines) return [];
  return [{ rule: "B2", what: `posting ${claims.length} claims again added ${after.lines - before.lines} lines to the books` }];
}

/** A dead router's requests are given up after the longest time that a request may take, and a minute for its claims. */
const ORPHAN_MS = 11 * 60_000;

/** Nothing runs: what is held is of requests whose router died with them, and no older than such may be. */
export async function openHolds(
  cluster: LiveCluster,
  plan: StormPlan,
  { records, kills }: Pick<StormEvidence, "records" | "kills">,
): Promise<{ readonly open: number; readonly violations: readonly Violation[] }> {
  const violations: Violation[] = [];
  const since = Date.now() - ORPHAN_MS;
  let open = 0;
  for (const { tenant: id } of plan.customers) {
    const calls = records.filter(({ shot }) => shot.tenant === id).flatMap(({ attempts }) => attempts);
    const orphans = calls.filter((call) => (killUnder(call, kills)?.at ?? 0) >= since).length;
    const { heldUsd, requestsRunning } = await cluster.admin.unary(AdminServiceService.getTenant, { id });
    open += requestsRunning;
    if (requestsRunning > orphans || (orphans === 0 && Number(heldUsd) !== 0))
      violations.push({
        rule: "B8",
        what: `${id}: nothing runs, ${orphans} requests lost their router, ${requestsRunning} are held with $${heldUsd}`,
      });
  }
  return { open, violations };
}

/** What a part may leave with that did not find at its start what was killed under it; it is started again. */
const FAILED_STARTS: Readonly<Record<string, string>> = { router: "store_unreachable", node: "engine_lost" };

/** Everything but a failed start is a crash. */
export function judgeDeath({ name, ended, uptimeMs, lastWords }: Death): readonly Violation[] {
  const allowed = FAILED_STARTS[name.split("-")[0]!];
  if (allowed !== undefined && lastWords.trimEnd().split("\n").at(-1)!.includes(`(${allowed})`)) return [];
  return [{ rule: "crash", what: `${name} ended by itself after ${Math.round(uptimeMs)} ms with ${ended}: ${lastWords}` }];
}
