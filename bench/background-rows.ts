import type { Engine, Slot } from "#node-agent";
import { benchSequence } from "./engine-cell.ts";

/** Rows that decode until they are stopped. */
export interface BackgroundRows extends AsyncDisposable {
  /** The times between two tokens of the same row, in milliseconds, since this was last called. */
  takeGaps(): readonly number[];
}

const PROMPT_TOKENS = 16;
/** Decoding in a small context, again and again: a row that reaches the end starts anew. */
const NEW_TOKENS = 256;

/** Starts rows on the plain base and resolves when each has its first token. */
export async function startDecoding(engine: Engine, rows: number, signal: AbortSignal): Promise<BackgroundRows> {
  const stopping = new AbortController();
  const stopped = AbortSignal.any([signal, stopping.signal]);
  let gaps: number[] = [];
  const decode = async (row: number, started: () => void) => {
    const prompt = Array.from({ length: PROMPT_TOKENS }, (_, index) => (row * PROMPT_TOKENS + index) % engine.base.vocabularySize);
    while (!stopped.aborted) {
      let lastMs: number | undefined;
      for await (const _ of engine.generate(benchSequence(prompt, undefined, NEW_TOKENS, row), stopped)) {
        const nowMs = performance.now();
        if (lastMs !== undefined) gaps.push(nowMs - lastMs);
        lastMs = nowMs;
        started();
      }
    }
  };
  const running: Promise<void>[] = [];
  await Promise.all(
    Array.from({ length: rows }, (_, row) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      running.push(
        decode(row, resolve).catch((error: unknown) => {
          if (!stopped.aborted) throw error; // A stop ends each row with the signal's reason.
        }),
      );
      running.at(-1)!.catch(reject);
      return promise;
    }),
  );
  return {
    takeGaps() {
      const taken = gaps;
      gaps = [];
      return taken;
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await Promise.all(running);
    },
  };
}

/** Runs one text until its first token is there. */
export async function timeToFirstToken(
  engine: Engine,
  prompt: readonly number[],
  slot: Slot | undefined,
  signal: AbortSignal,
): Promise<number> {
  const startedMs = performance.now();
  for await (const event of engine.generate(benchSequence(prompt, slot, 1, 0), signal)) {
    if (event.kind === "token") return performance.now() - startedMs;
  }
  throw new Error("a text ended without a token");
}
