import { setPriority } from "node:os";
import { parentPort } from "node:worker_threads";
import { assert, deltaDigest, Fault } from "#kernel";
import { inspectDelta, type LoadedDelta, loadDelta } from "#model";
import { type LoadAnswer, type LoadJob, plainFault } from "./delta-load-job.ts";

/**
 * The loading thread: reads, hashes, checks and converts one delta at a time, so that none of it happens on the loop
 * that carries tokens. The weights go back without a copy.
 */
assert(parentPort, "delta-load-worker.ts runs in a worker thread");
const port = parentPort;

/**
 * Loading takes what the engine's threads leave over: at equal rights it would share a core with one of them, and every row of
 * the batch would wait for that one. On Linux this is the priority of the calling thread alone. At 10 instead of 19 a delta is there in
 * 66 ms instead of 83 beside eight rows, and every tenth of their steps takes half as long again (docs/decisions/loads-beside-rows.md).
 */
const LOADING_NICENESS = 19;
if (process.platform === "linux") setPriority(LOADING_NICENESS);

port.on("message", (job: LoadJob) => {
  answer(job).then((result) => port.postMessage(result, result.kind === "loaded" ? buffersOf(result.delta) : []));
});

async function answer(job: LoadJob): Promise<LoadAnswer> {
  try {
    if (job.kind === "load") return { kind: "loaded", delta: await loadDelta(job.directory, job.reference, job.base) };
    return { kind: "inspected", inspection: await inspectVerified(job) };
  } catch (error) {
    if (error instanceof Fault) return { kind: "fault", fault: plainFault(error) };
    return { kind: "defect", message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

async function inspectVerified({ directory, reference, base }: LoadJob) {
  if (reference.baseDigest !== base.digest) throw new Fault("delta_base_mismatch", `the delta was made for another base than ${base.name}`);
  const inspection = await inspectDelta(directory, base);
  if (deltaDigest({ ...reference, ...inspection }) !== reference.digest)
    throw new Fault("checksum_mismatch", "the delta's files are not what its digest says");
  return inspection;
}

function buffersOf(delta: LoadedDelta): ArrayBuffer[] {
  return [...new Set(delta.layers.flatMap(({ a, b }) => [a.buffer, b.buffer]))];
}
