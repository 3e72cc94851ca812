import { type Random, seededRandom } from "#kernel";
import { askOverGrpc } from "./grpc-client.ts";
import type { LiveCluster } from "./live-cluster.ts";
import { addLoadCustomer, type LoadCustomer, unlikeAsks } from "./load-customer.ts";
import { completed, firstPieceMs, type LoadFigures, p99, shed, type TimedAttempt, unexpected } from "./load-figures.ts";
import { runOpenLoop } from "./open-loop.ts";
import { measurePeak } from "./peak.ts";
import type { Violation } from "./storm-check.ts";

export interface HotTenantOptions {
  readonly seed: number;
  /** Of each phase. */
  readonly seconds: number;
  /** Of each request, everybody's. */
  readonly promptTokens: number;
  readonly answerTokens: number;
}

const LIGHT_TENANTS = 9;
const HOT_OVER_LIGHT = 100;
/** Of the cluster's peak, per light tenant: together they take less than a fifth, so alone they hardly wait. */
const LIGHT_SHARE = 0.02;

/** One tenant asks for 100 times as much as each of nine others, twice what there is: what do the nine notice? */
export async function checkHotTenant(cluster: LiveCluster, options: HotTenantOptions): Promise<LoadFigures> {
  const { seed, seconds, promptTokens, answerTokens } = options;
  const random = seededRandom(seed);
  const hot = await addLoadCustomer(cluster, "hot");
  const light: LoadCustomer[] = [];
  while (light.length < LIGHT_TENANTS) light.push(await addLoadCustomer(cluster, "light"));
  const nextAsk = await unlikeAsks(hot.channels[0]!, promptTokens, answerTokens);
  const peak = await measurePeak(hot, nextAsk, Math.min(seconds, 10));
  const lightRate = peak * LIGHT_SHARE;

  const open = (customer: LoadCustomer, ratePerSecond: number, arrivals: Random, until: AbortSignal) =>
    runOpenLoop<TimedAttempt>({ ratePerSecond, random: arrivals, until }, async (_, lateMs) => ({
      ...(await askOverGrpc(customer.channels[0]!, nextAsk())),
      lateMs,
    }));
  // They come at the same times in both phases: how often two of them meet is not what is compared.
  const arrivals = light.map(() => random.bits());
  const lightLoad = async (until: AbortSignal) =>
    (await Promise.all(light.map((customer, index) => open(customer, lightRate, seededRandom(arrivals[index]!), until)))).flat();

  const solo = await lightLoad(AbortSignal.timeout(seconds * 1000));
  const until = AbortSignal.timeout(seconds * 1000);
  const [beside, hotCalls] = await Promise.all([lightLoad(until), open(hot, lightRate * HOT_OVER_LIGHT, random, until)]);

  const soloMs = p99(firstPieceMs(solo));
  const besideMs = p99(firstPieceMs(beside));
  return {
    figures: {
      peak_requests_per_s: peak,
      light_requests: beside.length,
      light_answered_share: completed(beside).length / beside.length,
      light_ttft_solo_p99_ms: soloMs,
      light_ttft_beside_p99_ms: besideMs,
      light_ttft_ratio: besideMs / soloMs,
      hot_requests: hotCalls.length,
      hot_answered_share: completed(hotCalls).length / hotCalls.length,
      hot_shed_share: shed(hotCalls).length / hotCalls.length,
    },
    violations: [...unexpected([...solo, ...beside, ...hotCalls]), ...turnedAway(beside)],
  };
}

/** Whoever asks for less than its share is never the one to make room. */
function turnedAway(light: readonly TimedAttempt[]): readonly Violation[] {
  return shed(light).map(({ fault }) => ({ rule: "F19", what: `a light tenant was turned away beside a hot one: ${fault!.message}` }));
}
