import { fork } from "node:child_process";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { Fault, faultFrom, MIB } from "#kernel";
import type { PrepareData } from "#router";
import type { PreparationNews, PreparationOrder } from "./preparation-messages.ts";

const PROGRAM = new URL("./preparation-process.ts", import.meta.url);
/** Rows are read in passes and never held; what is above the base's own memory is the checks' fingerprints. */
const HEAP_BYTES_MAX = 1_024 * MIB;
const ENDINGS = new Set([".jsonl", ".json", ".csv", ".tsv", ".xlsx", ".txt"]);

/** Prepares a file in a child process, in a folder of its own that goes when the result is disposed. */
export const prepareInProcess: PrepareData = async ({ filename, content, declined, ...task }, signal) => {
  await using parts = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "deltaplane-preparation-"));
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const ending = extname(filename).toLowerCase();
  const file = `examples${ENDINGS.has(ending) ? ending : ".jsonl"}`;
  await pipeline(content, createWriteStream(join(folder, file)), { signal }).catch((error: unknown) => {
    signal.throwIfAborted(); // Its own reason, instead of the pipeline's.
    throw error;
  });
  const news = await orderedIn(folder, { ...task, file, declined: [...declined] }, signal);
  if (news.kind === "failed") throw faultFrom(news.fault);
  const written = (path: string | undefined) => (path === undefined ? undefined : contentOf(join(folder, path)));
  const { report, train, valid } = news;
  const owned = parts.move();
  return { report, train: written(train), valid: written(valid), [Symbol.asyncDispose]: () => owned.disposeAsync() };
};

/** Opened when it is read: what nobody reads leaves nothing open. */
async function* contentOf(file: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(file) as AsyncIterable<Uint8Array>;
}

/** @throws the signal's reason; Fault trainer_lost when the process ends without a word */
async function orderedIn(
  folder: string,
  { base, file, kind, declined, split }: PreparationOrder,
  signal: AbortSignal,
): Promise<PreparationNews> {
  signal.throwIfAborted();
  const child = fork(PROGRAM, [], {
    cwd: folder,
    execArgv: [`--max-old-space-size=${HEAP_BYTES_MAX / MIB}`],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const kill = () => child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  try {
    const { name, directory } = base;
    child.send({ base: { name, directory }, file, kind, declined, split } satisfies PreparationOrder);
    return await new Promise<PreparationNews>((resolve, reject) => {
      child.once("message", (news) => resolve(news as PreparationNews));
      child.once("error", reject);
      child.once("close", (code) => {
        if (signal.aborted) reject(signal.reason);
        else reject(new Fault("trainer_lost", `the process that prepares data ended with ${code}: it may need more memory than it has`));
      });
    });
  } finally {
    signal.removeEventListener("abort", kill);
  }
}
