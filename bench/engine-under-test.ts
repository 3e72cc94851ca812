import { basename } from "node:path";
import { systemClock } from "#kernel";
import { type Engine, startEngineProcess, tableRanks } from "#node-agent";

export interface BenchEngineOptions {
  readonly threads: number;
  /** Of each delta that is attached at the same time. */
  readonly deltaRanks: readonly number[];
}

/** More than the widest cell asks for: 32 rows of 128 + 64 tokens. */
const ROWS_MAX = 40;
const ROW_TOKENS_MAX = 512;
/**
 * Large prefill steps, so that all rows soon decode at the same time: it is decoding that the bench looks at.
 */
const PREFILL_TOKENS_MAX = 512;

/** The engine as a node agent starts it: in a process of its own, with room for what the bench does. */
export function startBenchEngine(directory: string, options: BenchEngineOptions): Promise<Engine> {
  return startEngineProcess(
    { clock: systemClock },
    {
      directory,
      name: basename(directory),
      threads: options.threads,
      limits: {
        rowsMax: ROWS_MAX,
        kvTokensMax: ROWS_MAX * ROW_TOKENS_MAX,
        slotsMax: Math.max(1, options.deltaRanks.length),
        tableRanksMax: options.deltaRanks.reduce((sum, rank) => sum + tableRanks(rank), tableRanks(1)),
      },
      engine: { prefillTokensMax: PREFILL_TOKENS_MAX },
    },
  );
}
