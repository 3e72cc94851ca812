import type { Clock, Fault, Log } from "#kernel";
import { type Definition, implement, type ServedService } from "#proto";
import { type GuardDeps, type GuardedHandlers, guard } from "./guard.ts";

export interface ServedDeps extends GuardDeps {
  readonly clock: Clock;
  readonly log: Log;
}

/** A service behind its rules, for a door to serve. */
export function served<D extends Definition>(deps: ServedDeps, definition: D, handlers: GuardedHandlers<D>): ServedService {
  const onFault = (fault: Fault, path: string) => logFault(deps.log, fault, path);
  return {
    name: Object.values(definition)[0]!.path.split("/")[1]!,
    definition,
    implementation: implement(definition, guard(definition, handlers, deps), { clock: deps.clock, onFault }),
  };
}

/** A client's mistake is the client's to read; a defect of ours is ours. */
function logFault(log: Log, fault: Fault, path: string): void {
  if (fault.code === "internal" || fault.code === "data_loss") log.error({ err: fault, path }, "a call failed");
}
