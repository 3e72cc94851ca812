import { readFile } from "node:fs/promises";
import { Fault } from "#kernel";
import type { TraceRequest } from "#scheduler/sim";

/** The requests of a trace's file. Throws `parameter_invalid` naming the file, or its line. */
export async function readTraceFile(path: string): Promise<readonly TraceRequest[]> {
  const { readTrace } = await import("#scheduler/sim");
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new Fault("parameter_invalid", `can't read the trace ${path}`, { detail: { field: "trace" }, cause });
  });
  return readTrace(text);
}
