import type { Millis } from "#kernel";
import { firstMeasured } from "./sim-figures.ts";
import type { SimRun } from "./simulator.ts";

/** Of the requests looked at, these are the slowest: the 99th percentile is in their middle. */
const SLOWEST_SHARE = 0.02;

/** What the slowest requests of a run waited for, one after the other; means. */
export interface Waits {
  /** Until their delta had a place in the slots: taken in turn, or because there was no room. */
  readonly slotMs: Millis;
  /** Until it was there. */
  readonly loadMs: Millis;
  /** Until a row of the batch took them in. */
  readonly rowMs: Millis;
  /** Until the step that computed their prompt had ended. */
  readonly promptMs: Millis;
}

/** Of a run without faults: of requests that were lost and sent again, only the last node's stages are known. */
export function waitsOf(run: SimRun): Waits {
  const { workload, firstTokenMs, stages } = run;
  const from = firstMeasured(run);
  const requests = Array.from({ length: workload.requestCount - from }, (_, index) => from + index);
  requests.sort((one, other) => firstTokenMs[other]! - firstTokenMs[one]!);
  const slowest = requests.slice(0, Math.max(1, Math.round(SLOWEST_SHARE * requests.length)));
  const mean = (value: (request: number) => Millis) => slowest.reduce((sum, request) => sum + value(request), 0) / slowest.length;
  const { slotAtMs, readyAtMs, rowAtMs } = stages;
  return {
    slotMs: mean((request) => slotAtMs[request]! - workload.arrivedAtMs[request]!),
    loadMs: mean((request) => readyAtMs[request]! - slotAtMs[request]!),
    rowMs: mean((request) => rowAtMs[request]! - readyAtMs[request]!),
    promptMs: mean((request) => workload.arrivedAtMs[request]! + firstTokenMs[request]! - rowAtMs[request]!),
  };
}
