import { readFile } from "node:fs/promises";
import { Fault } from "#kernel";
import type { TraceRequest } from "#scheduler/sim";

/** The requests of a trace's file. @throws Fault file_missing; parameter_invalid naming the line */
export async function readTraceFile(path: string): Promise<readonly TraceRequest[]> {
  const { readTrace } = await import("#scheduler/sim");
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new Fault("file_missing", `${path} cannot be read`, { detail: { file: path }, cause });
  });
  return readTrace(text);
}
