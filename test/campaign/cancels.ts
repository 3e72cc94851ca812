import { seededRandom } from "#kernel";
import { readBooks } from "./booked-requests.ts";
import { addCustomers, type Customer, heldOutPrompts } from "./customers.ts";
import { type LiveCluster, rowsRunning } from "./live-cluster.ts";
import type { LoadFigures } from "./load-figures.ts";
import { waitUntil } from "./patience.ts";
import { scrape } from "./prometheus-text.ts";
import { recordReferences } from "./reference-texts.ts";
import { checkStorm } from "./storm-check.ts";
import { createShooter, type ShotRecord } from "./storm-load.ts";
import { type Shot, STORM_TOKENS, stormAsk } from "./storm-plan.ts";

export interface CancelOptions {
  readonly seed: number;
  readonly cancels: number;
}

const AT_ONCE = 32;
const LEAVE_MS_MAX = 200;
/** An abort reaches the engine within a step; this is patience for a busy machine. */
const IDLE_MS_MAX = 10_000;

/** Clients that leave at any moment: every row is freed, and each pays for what was emitted to it, exactly. */
export async function checkCancels(cluster: LiveCluster, { seed, cancels }: CancelOptions): Promise<LoadFigures> {
  const [customer] = await addCustomers(cluster, [`fickle-${seed}`]);
  const prompts = heldOutPrompts(1);
  const channel = cluster.channel(cluster.routers[0]!.grpc, customer!.key);
  const asks = customer!.models.flatMap((model) => prompts.map((_, index) => ({ channel, ask: stormAsk(model, prompts, index) })));
  const references = await recordReferences(asks);
  await cluster.quiet();
  const known = new Set((await readBooks(cluster.operator)).requests.keys());
  const generatedBefore = await tokensGenerated(cluster);

  const records = await leaveAll(cluster, customer!, prompts, { seed, cancels });
  const idleFrom = performance.now();
  await waitUntil("all rows to be free", IDLE_MS_MAX, async () => (await rowsRunning(cluster.admin)) === 0);
  const idleMs = performance.now() - idleFrom;
  await cluster.quiet();
  const booked = new Map([...(await readBooks(cluster.operator)).requests].filter(([id]) => !known.has(id)));
  const { violations, figures } = checkStorm({ records, booked, references, kills: [], refusedTenant: "" });
  const generated = (await tokensGenerated(cluster)) - generatedBefore;
  const beyond =
    figures.tokensCharged > generated ? [{ rule: "B4", what: `${figures.tokensCharged} tokens charged, ${generated} computed` }] : [];
  return {
    figures: {
      cancels: records.filter(({ attempts }) => attempts[0]!.ending === "cancelled").length,
      ended_before_the_cancel: records.filter(({ attempts }) => attempts[0]!.ending === "completed").length,
      rows_free_after_ms: idleMs,
      tokens_received: figures.tokensReceived,
      tokens_charged: figures.tokensCharged,
      tokens_computed: generated,
      in_flight_per_cancel: figures.tokensInFlight / records.length,
      in_flight_max: figures.inFlightMax,
    },
    violations: [...violations, ...beyond],
  };
}

async function leaveAll(cluster: LiveCluster, customer: Customer, prompts: readonly string[], { seed, cancels }: CancelOptions) {
  const random = seededRandom(seed);
  const shoot = createShooter(cluster);
  const { tenant, key, models } = customer;
  const shots = Array.from({ length: cancels }, (_, index): Shot => {
    const ask = stormAsk(models[random.below(models.length)]!, prompts, random.below(prompts.length));
    const leaving = random.float() < 0.5 ? { afterPieces: 1 + random.below(STORM_TOKENS - 1) } : { afterMs: random.below(LEAVE_MS_MAX) };
    const door = random.float() < 0.3 ? "http" : "grpc";
    return { index, tenant, key, ask, door, router: random.below(cluster.routers.length), leaving };
  });
  const records: ShotRecord[] = [];
  const worker = async () => {
    for (let shot = shots.pop(); shot; shot = shots.pop()) records.push(await shoot(shot));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return records;
}

/** Completion tokens that the nodes have computed, by their own count. */
async function tokensGenerated(cluster: LiveCluster): Promise<number> {
  const counts = await Promise.all(
    cluster.nodes.map(async ({ metrics }) => (await scrape(metrics)).sum("deltaplane_tokens_total", { kind: "completion" }) ?? 0),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}
