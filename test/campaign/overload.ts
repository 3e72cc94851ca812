import { seededRandom } from "#kernel";
import { quantile } from "../../bench/statistics.ts";
import { askOverGrpc } from "./grpc-client.ts";
import type { LiveCluster } from "./live-cluster.ts";
import { addLoadCustomer, sizedAsk } from "./load-customer.ts";
import { completed, firstPieceMs, type LoadFigures, shed, type TimedAttempt, unexpected } from "./load-figures.ts";
import { runOpenLoop } from "./open-loop.ts";
import { completedPerSecond, measurePeak } from "./peak.ts";

export interface OverloadOptions {
  readonly seed: number;
  readonly seconds: number;
}

const TIMES_PEAK = 3;
/** Long answers: the engine is what is overloaded, and not this client, which shares the machine with it. */
const ASK = sizedAsk(16, 96);
/** Until queues are full: before that nobody is turned away. */
const FILL_MS = 2_000;

/** Three times as many requests as can be answered, whether earlier ones were answered or not. */
export async function checkOverload(cluster: LiveCluster, { seed, seconds }: OverloadOptions): Promise<LoadFigures> {
  const customer = await addLoadCustomer(cluster, "crowd");
  const peak = await measurePeak(customer, () => ASK, seconds);
  const until = AbortSignal.timeout(FILL_MS + seconds * 1000);
  const from = Date.now() + FILL_MS;
  const loop = { ratePerSecond: TIMES_PEAK * peak, random: seededRandom(seed), until };
  const attempts = await runOpenLoop<TimedAttempt>(loop, async (_, lateMs) => ({
    ...(await askOverGrpc(customer.channels[0]!, ASK)),
    lateMs,
  }));
  const goodput = completedPerSecond(attempts, from, from + seconds * 1000);
  const refused = shed(attempts);
  const refusalMs = refused.map(({ startedAt, endedAt }) => endedAt - startedAt);
  return {
    figures: {
      peak_requests_per_s: peak,
      offered_requests: attempts.length,
      answered_requests: completed(attempts).length,
      shed_requests: refused.length,
      goodput_requests_per_s: goodput,
      goodput_share: goodput / peak,
      shed_p50_ms: quantile(refusalMs, 0.5),
      shed_p99_ms: quantile(refusalMs, 0.99),
      ttft_p50_ms: quantile(firstPieceMs(attempts), 0.5),
      ttft_p99_ms: quantile(firstPieceMs(attempts), 0.99),
    },
    violations: [
      ...unexpected(attempts),
      ...(refused.some(({ fault }) => fault?.waitMs === undefined)
        ? [{ rule: "overload", what: "a refusal came without advice when to retry" }]
        : []),
    ],
  };
}
