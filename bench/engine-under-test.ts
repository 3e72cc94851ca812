import { basename } from "node:path";
import { systemClock } from "#kernel";
import { type Compute, DEFAULT_COMPUTE, type Engine, startEngineProcess, tableRanks } from "#node-agent";

export interface BenchEngineOptions {
  readonly threads: number;
  /** Default: float32 on the processor. */
  readonly compute?: Compute;
  /** Of each delta that is attached at the same time. */
  readonly deltaRanks: readonly number[];
  /** Rows of the widest cell. Default: {@link ROWS_MAX}. */
  readonly rowsMax?: number;
  /** Of one row, prompt and new tokens. Default: {@link ROW_TOKENS_MAX}. */
  readonly rowTokensMax?: number;
  /** See EngineOptions. Default: nothing is kept, so that every text costs the same whatever ran before. */
  readonly prefixShare?: number;
  /** See EngineOptions. Default: 0, so that every token costs a step: random weights write loops, of which drafts would make too much. */
  readonly draftTokensMax?: number;
}

/** More than the widest cell asks for: 32 rows of 128 + 64 tokens. */
const ROWS_MAX = 40;
const ROW_TOKENS_MAX = 512;
/**
 * Large prefill steps, so that all rows soon decode at the same time: it is decoding that the bench looks at.
 */
const PREFILL_TOKENS_MAX = 512;
/** Of 128-token prompts: all rows have theirs computed within eight steps. */
const PREFILL_TOKENS_PER_ROW = 16;

/** The engine as a node agent starts it: in a process of its own, with room for what the bench does. */
export function startBenchEngine(directory: string, options: BenchEngineOptions): Promise<Engine> {
  const { rowsMax = ROWS_MAX, rowTokensMax = ROW_TOKENS_MAX } = options;
  return startEngineProcess(
    { clock: systemClock },
    {
      directory,
      name: basename(directory),
      threads: options.threads,
      compute: options.compute ?? DEFAULT_COMPUTE,
      limits: {
        rowsMax,
        kvTokensMax: rowsMax * rowTokensMax,
        slotsMax: Math.max(1, options.deltaRanks.length),
        tableRanksMax: options.deltaRanks.reduce((sum, rank) => sum + tableRanks(rank), tableRanks(1)),
      },
      engine: {
        prefillTokensMax: Math.max(PREFILL_TOKENS_MAX, PREFILL_TOKENS_PER_ROW * rowsMax),
        prefixShare: options.prefixShare ?? 0,
        draftTokensMax: options.draftTokensMax ?? 0,
      },
    },
  );
}
