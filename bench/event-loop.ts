/** What prom-client's default metrics take their samples with (`monitorEventLoopDelay`); an idle loop shows just this. */
const RESOLUTION_MS = 10;
const P99 = /^nodejs_eventloop_lag_p99_seconds(?:\{[^}]*\})? (\S+)$/m;

/**
 * The 99th percentile of how late the event loop of a process was since the last time it was asked, in milliseconds: every
 * component tells it on its metrics page, and starts again with each scrape.
 */
export async function eventLoopDelayP99Ms(metrics: string): Promise<number> {
  const text = await (await fetch(metrics)).text();
  const seconds = P99.exec(text)?.[1];
  if (seconds === undefined) throw new Error(`${metrics} does not tell the event loop's delay`);
  return Math.max(0, Number(seconds) * 1000 - RESOLUTION_MS);
}
