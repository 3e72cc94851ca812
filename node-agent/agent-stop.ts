import { type ClaimOutbox, type Clock, GRACE, type Grace, type Log, type Millis, toFault, within } from "#kernel";
import { ClusterServiceService, type GrpcChannel, type RunningGrpcServer } from "#proto";
import type { ActiveWork } from "./active-work.ts";
import type { ChangeBell } from "./change-bell.ts";

/** How long each step may take; the parts' own closing is not bounded here. */
export type AgentGrace = Omit<Grace, "closeMs">;

export const AGENT_GRACE: AgentGrace = GRACE["node-agent"];

export interface AgentStopDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly nodeId: string;
  readonly schedulers: Iterable<GrpcChannel>;
  readonly work: ActiveWork;
  /** Rings when the work's state changes. */
  readonly changes: ChangeBell;
  readonly server: RunningGrpcServer;
  readonly claims: ClaimOutbox;
}

/**
 * Stop is drain: hot deltas are copied elsewhere, new work is refused, running work ends or is cut (routers go on with it on
 * another node), its claims are delivered. docs/drain.md
 */
export async function stopAgent(deps: AgentStopDeps, grace: AgentGrace): Promise<void> {
  const { clock, work, server, claims } = deps;
  if (grace.noticeMs > 0) await handOver(deps, grace.noticeMs);
  await within(clock, grace.streamsMs, work.stop());
  await server.drain(grace.cutMs);
  await within(clock, grace.cutMs, work.stop());
  await within(clock, grace.settleMs, claims.flush());
}

/** Asks for copies of what is hot here and nowhere else. Over when a scheduler says that the node drains, or none leads. */
async function handOver({ clock, log, nodeId, schedulers, work, changes }: AgentStopDeps, noticeMs: Millis): Promise<void> {
  if (work.draining) return;
  const over = new AbortController();
  const { promise: drained, resolve } = Promise.withResolvers<void>();
  changes.listen(() => work.draining && resolve());
  const asked = Promise.all(
    Array.from(schedulers, async (scheduler) => {
      try {
        await scheduler.unary(ClusterServiceService.drainNode, { nodeId }, { signal: over.signal });
      } catch (error) {
        if (over.signal.aborted) return;
        const { reason, message } = toFault(error);
        log.info({ reason }, `a scheduler did not take the node out of service: ${message}`);
      }
    }),
  );
  const inTime = await within(clock, noticeMs, Promise.race([drained, asked]));
  if (!inTime) log.warn({ noticeMs }, "not all hot deltas were copied in time; the node stops all the same");
  over.abort();
}
