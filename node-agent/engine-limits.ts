import { type Bytes, MIB, type Tokens } from "#kernel";
import { type BaseInfo, RANK_MAX } from "#model";
import { type Compute, DEFAULT_COMPUTE, type RunnerLimits } from "./engine/index.ts";
import { valueBytes } from "./memory-budget.ts";

/** What one engine may hold; what is not chosen is derived from the base's shape. */
export interface EngineBudget {
  /** Rows in one batch. Default 32: on CPUs the rate hardly grows beyond it, and every row adds to each token's time. */
  readonly rowsMax?: number;
  /** For keys and values. Default 1 GiB, or one whole context where that is more; said, it may be less, and longer texts go elsewhere. */
  readonly kvBytesMax?: Bytes;
  /** Deltas that are attached at a time. Default 64: twice the rows, so that a row that ends leaves its delta behind for the next. */
  readonly slotsMax?: number;
  /** For the packed tables of the attached deltas. Default 512 MiB. */
  readonly tableBytesMax?: Bytes;
}

/** Less is no use to anybody. */
const KV_TOKENS_LEAST: Tokens = 256;
/** A base whose ranks are so large that the default would not hold a few common deltas (rank 16) gets as much as that takes. */
const TABLE_RANKS_LEAST = 64;
/** Four deltas of the highest rank, or 256 of rank 8. */
const TABLE_RANKS_MOST = 4 * RANK_MAX;

/** The limits of an engine for `base`. At least one sequence of the whole context fits, unless `budget` says less. */
export function engineLimits(base: BaseInfo, budget: EngineBudget = {}, compute: Compute = DEFAULT_COMPUTE): RunnerLimits {
  const rowsMax = budget.rowsMax ?? 32;
  const kvTokensLeast = budget.kvBytesMax === undefined ? base.contextTokensMax : Math.min(base.contextTokensMax, KV_TOKENS_LEAST);
  const kvTokenBytes = 2 * base.layerCount * base.kvHeadCount * base.headSize * valueBytes(compute);
  const kvTokensMax = between(kvTokensLeast, (budget.kvBytesMax ?? 1024 * MIB) / kvTokenBytes, rowsMax * base.contextTokensMax);
  const rankBytes = base.linears.reduce((sum, { inputSize, outputSize }) => sum + inputSize + outputSize, 0) * valueBytes(compute);
  const tableRanksMax = between(TABLE_RANKS_LEAST, (budget.tableBytesMax ?? 512 * MIB) / rankBytes, TABLE_RANKS_MOST);
  return { rowsMax, kvTokensMax, slotsMax: budget.slotsMax ?? 64, tableRanksMax };
}

function between(least: number, wished: number, most: number): Tokens {
  return Math.max(least, Math.min(most, Math.floor(wished)));
}
