import type { Ask, Attempt } from "./ask.ts";
import { runClosedLoop } from "./closed-loop.ts";
import { askOverGrpc } from "./grpc-client.ts";
import type { LoadCustomer } from "./load-customer.ts";
import { completed } from "./load-figures.ts";
import { pause } from "./patience.ts";

/** As many as an engine has rows: more would only wait. */
const STREAMS = 32;
/** Until every row is taken and the machine has warmed up. */
const WARM_UP_MS = 1_000;

/** Answered requests per second, at the most that the cluster does. */
export async function measurePeak(customer: LoadCustomer, nextAsk: () => Ask, seconds: number): Promise<number> {
  const over = AbortSignal.timeout(WARM_UP_MS + seconds * 1000);
  const from = Date.now() + WARM_UP_MS;
  const attempts = await runClosedLoop(STREAMS, over, () => patiently(customer, nextAsk()));
  return completedPerSecond(attempts, from, from + seconds * 1000);
}

export function completedPerSecond(attempts: readonly Attempt[], from: number, until: number): number {
  const inTime = completed(attempts).filter(({ endedAt }) => endedAt >= from && endedAt < until);
  return (inTime.length * 1000) / (until - from);
}

/** A client that waits when it is told to. */
export async function patiently(customer: LoadCustomer, ask: Ask): Promise<Attempt> {
  const attempt = await askOverGrpc(customer.channels[0]!, ask);
  if (attempt.ending === "failed") await pause(attempt.fault?.waitMs ?? 100);
  return attempt;
}
