import { AdminServiceService } from "#proto";
import type { Death } from "./kept-process.ts";
import type { LiveCluster } from "./live-cluster.ts";
import { killUnder, type StormEvidence, type Violation } from "./storm-check.ts";
import type { StormPlan } from "./storm-plan.ts";

/** The operators' own recount of the whole ledger from its raw lines. */
export async function recount(cluster: LiveCluster): Promise<readonly Violation[]> {
  const { status, stdout, stderr } = await cluster.command("billing", "verify");
  return status === 0 ? [] : [{ rule: "B1", what: `billing verify ended with ${status}: ${stdout}${stderr}` }];
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
