import { asBaseDigest, seededRandom } from "#kernel";
import type { BaseInfo, LoadedDelta } from "#model";

/** Below the number of candidates, one segment, two, and so many that the best of all segments need segments again. */
export const VOCABULARIES = [40, 1000, 2500, 70_000] as const;
export const TOP_ROWS = 3;

/** [TOP_ROWS, vocabularySize]: many equal ones in the first row, none but by chance in the second, all equal in the third. */
export function createLogits(vocabularySize: number): Float32Array<ArrayBuffer> {
  const random = seededRandom(vocabularySize);
  const logits = new Float32Array(TOP_ROWS * vocabularySize).fill(-1.5);
  for (let id = 0; id < vocabularySize; id++) {
    logits[id] = Math.round(8 * (random.float() + random.float()));
    logits[vocabularySize + id] = 30 * random.float() - 20;
  }
  return logits;
}

export interface TopAnswer {
  readonly vocabularySize: number;
  readonly ids: readonly number[];
  readonly logits: readonly number[];
  readonly sums: readonly number[];
}

/** By site: what deltas add to each token, row-major. */
export type Changes = Readonly<Record<string, readonly number[]>>;

export interface DeltaAnswers {
  readonly alone: Changes;
  readonly together: Changes;
  readonly reused: Changes;
  readonly refused: boolean;
  readonly partCounts: readonly number[];
  /** Of the same step, beside no other delta and beside two. */
  readonly upBytes: readonly [number, number];
}

/** Two layers with three linears each. */
export const PARTS_BASE: BaseInfo = {
  name: "parts",
  digest: asBaseDigest("0".repeat(64)),
  architecture: "llama",
  layerCount: 2,
  hiddenSize: 16,
  headCount: 2,
  kvHeadCount: 1,
  headSize: 8,
  vocabularySize: 100,
  contextTokensMax: 128,
  parameterCount: 1000,
  weightType: "float32",
  bosTokenId: undefined,
  eosTokenIds: [],
  linears: [0, 1].flatMap((layer) =>
    (
      [
        ["q", 16, 16],
        ["up", 16, 40],
        ["down", 40, 16],
      ] as const
    ).map(([name, inputSize, outputSize]) => ({ site: `layers.${layer}.${name}`, module: `${layer}.${name}`, inputSize, outputSize })),
  ),
};

/** Room for the first, second and fourth of {@link createDeltas}, and no more. */
export const LIMITS = { rowsMax: 8, kvTokensMax: 1024, slotsMax: 4, tableRanksMax: 40 };

/** Rank 4 and 20, which fill their pages in part; rank 24 with one layer only, and that of rank 9; rank 8. */
export function createDeltas(): readonly [LoadedDelta, LoadedDelta, LoadedDelta, LoadedDelta] {
  const random = seededRandom(5);
  const values = (count: number) => Float32Array.from({ length: count }, () => random.float() - 0.5);
  const delta = (rank: number, keep: (site: string) => boolean, layerRank = rank): LoadedDelta => {
    const layers = PARTS_BASE.linears
      .filter(({ site }) => keep(site))
      .map(({ site, inputSize, outputSize }) => ({
        site,
        rank: layerRank,
        a: values(layerRank * inputSize),
        b: values(layerRank * outputSize),
      }));
    const reference = { digest: "d", tenantId: "t", baseDigest: PARTS_BASE.digest } as LoadedDelta["reference"];
    return { reference, rank, sizeBytes: 0, layers };
  };
  const all = () => true;
  return [delta(4, all), delta(20, all), delta(24, (site) => site === "layers.1.up", 9), delta(8, all)];
}

/** [count, inputSize] */
export function createTokens(site: string, count: number, inputSize: number): Float32Array<ArrayBuffer> {
  const random = seededRandom(site.length + count);
  return Float32Array.from({ length: count * inputSize }, () => random.float() - 0.5);
}
