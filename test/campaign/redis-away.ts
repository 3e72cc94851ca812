import { AdminServiceService } from "#proto";
import { faultTold } from "./grpc-client.ts";
import type { LiveCluster } from "./live-cluster.ts";
import { type LoadFigures, p99 } from "./load-figures.ts";
import { pause } from "./patience.ts";
import { LONG_TOKENS, type SteadyLoad } from "./steady-load.ts";
import type { Violation } from "./storm-check.ts";

export interface RedisAwayOptions {
  readonly ratePerSecond: number;
  /** How long it stays away. */
  readonly seconds: number;
}

/** Before and after: what the same load is like with the store. */
const BESIDE_MS = 3_000;
/** Long ones, begun just before it goes. */
const STREAMS = 8;
const BEGUN_MS = 100;

/** The store goes away for a while: what is hot is served, what needs the store says so, and the books are whole at the end. */
export async function checkRedisAway(
  cluster: LiveCluster,
  load: SteadyLoad,
  { ratePerSecond, seconds }: RedisAwayOptions,
): Promise<LoadFigures> {
  const over = new AbortController();
  const running = load.run(ratePerSecond, over.signal);
  await pause(Math.min(BESIDE_MS, seconds * 1000));
  const streams = Promise.all(Array.from({ length: STREAMS }, () => load.send({ ...load.draw(LONG_TOKENS), door: "grpc" })));
  await pause(BEGUN_MS);
  const giveBack = await cluster.redis!.takeAway();
  const away = { from: Date.now(), until: Number.POSITIVE_INFINITY };
  await pause(seconds * 500);
  const refusals = await askForTheStore(cluster);
  await pause(seconds * 500);
  away.until = Date.now();
  giveBack();
  await pause(Math.min(BESIDE_MS, seconds * 1000));
  over.abort();
  await Promise.all([running, streams]);
  const settling = Date.now();
  const violations = [...refusals, ...(await load.judge())];
  const during = load.records.filter(({ attempt }) => attempt.startedAt >= away.from && attempt.startedAt < away.until);
  const across = load.records.filter(({ attempt }) => attempt.startedAt < away.from && attempt.endedAt > away.from);
  const ttft = (records: typeof during) => p99(records.flatMap(({ attempt }) => attempt.firstPieceMs ?? []));
  return {
    figures: {
      seconds_away: seconds,
      requests: load.records.length,
      requests_while_away: during.length,
      failed: load.failed.length,
      failed_while_away: during.filter(({ attempt }) => attempt.ending !== "completed").length,
      streams_running_when_it_went: across.length,
      ttft_p99_away_ms: ttft(during),
      ttft_p99_beside_ms: ttft(load.records.filter((record) => !during.includes(record))),
      books_complete_after_s: (Date.now() - settling) / 1000,
    },
    violations,
  };
}

/** A change of what is stored cannot be made now: it must be refused at once, and with advice. */
async function askForTheStore(cluster: LiveCluster): Promise<readonly Violation[]> {
  const startedMs = performance.now();
  try {
    await cluster.admin.unary(AdminServiceService.createTenant, { id: "late" }, { timeoutMs: 20_000 });
    return [{ rule: "store", what: "a tenant was created without a store" }];
  } catch (error) {
    const { reason, waitMs } = faultTold(error);
    if (reason === "store_unreachable" && waitMs !== undefined) return [];
    const after = Math.round(performance.now() - startedMs);
    return [{ rule: "store", what: `what needs the store was refused after ${after} ms with ${reason} and the advice ${waitMs}` }];
  }
}
