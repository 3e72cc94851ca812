import { Fault, toFault } from "#kernel";

/** What a sink threw, as a fault. A disk that refuses is tried again, as it may be full for a while. */
export function sinkFault(error: unknown): Fault {
  const code = error instanceof Error && !(error instanceof Fault) && "syscall" in error ? error.message : undefined;
  return code === undefined ? toFault(error) : new Fault("store_unreachable", `the disk refuses: ${code}`, { cause: error });
}
