import { type Clock, Fault, type Log, type Millis, type NodeView, SECOND, toFault } from "#kernel";
import { type DrainDeps, drainNode } from "../../nodes/index.ts";

/** A browser and the proxies on the way to it give up on an answer long before the longest stream has ended. */
const WAIT_MS_MAX: Millis = 2 * SECOND;

/**
 * Takes a node out of service, and goes on with that when it takes longer than an answer may wait: whether its work is done
 * is seen in the cluster. True when it is done already. @throws what fails at once
 */
export async function beginDrain(
  deps: DrainDeps & { readonly clock: Clock; readonly log: Log; readonly stopping: AbortSignal },
  node: NodeView,
): Promise<boolean> {
  const answered = new AbortController();
  let late = false;
  const drained = drainNode(deps, node, deps.stopping).then(
    () => true,
    (error: unknown) => {
      if (!late) throw error;
      deps.log.warn({ node: node.id, err: toFault(error) }, "a node could not be drained to its end");
      return false;
    },
  );
  const waited = deps.clock.after(WAIT_MS_MAX, answered.signal).then(
    () => {
      late = true;
      return false;
    },
    () => false, // Answered in time.
  );
  try {
    return await Promise.race([drained, waited]);
  } finally {
    answered.abort(new Fault("client_gone", "nobody waits any more"));
  }
}
