import { type Bytes, GIB, KIB, MIB, type Millis } from "#kernel";

/** Where a load comes from, from fast to slow. Numbers, because hot loops compare them. */
export const SLOT = 0;
export const RAM = 1;
export const DISK = 2;
export const REMOTE = 3;
export type SimTier = typeof SLOT | typeof RAM | typeof DISK | typeof REMOTE;
export const TIER_NAMES = ["slot", "ram", "disk", "remote"] as const;

/** One way between two tiers: one load at a time, each `fixedMs` and its bytes over the bandwidth. */
export interface Link {
  readonly fixedMs: Millis;
  readonly bytesPerMs: number;
}

/** How fast a node is: every constant of the simulator that a machine could disagree with. */
export interface NodeModel {
  readonly name: string;
  readonly source: string;
  readonly rowsMax: number;
  /** A step takes stepMs + rows · rowMs + prompt tokens · promptTokenMs, and for each row the three delta terms. */
  readonly stepMs: Millis;
  readonly rowMs: Millis;
  readonly promptTokenMs: Millis;
  /** Per row as soon as any row of the step has a delta. */
  readonly deltaRowMs: Millis;
  /** Per row and rank summed over the step's distinct deltas: what packed tables cost, as this repository's engine has them. */
  readonly packedRankMs: Millis;
  /** Per row and the largest rank of the step: what padding to it costs, as batched gather kernels do on accelerators. */
  readonly paddedRankMs: Millis;
  /** A step takes new rows until their prompts exceed this; always at least one. */
  readonly prefillTokensMax: number;
  readonly bytesPerRank: Bytes;
  readonly links: { readonly slot: Link; readonly ram: Link; readonly disk: Link };
  /** Until the bytes of an evicted delta may be used again. */
  readonly unloadMs: Millis;
  /** Natural logarithms of the synthetic workloads' lengths: mean and standard deviation. */
  readonly promptTokens: { readonly logMean: number; readonly logDeviation: number; readonly max: number };
  readonly outputTokens: { readonly logMean: number; readonly logDeviation: number; readonly max: number };
  /** A first token within this is what a customer was promised. */
  readonly sloMs: Millis;
}

/** Lengths of the end-to-end bench (64 in, 64 out), spread as in the Azure conversation trace of 2023. */
const SHORT_TALK = {
  promptTokens: { logMean: Math.log(64), logDeviation: 0.98, max: 1024 },
  outputTokens: { logMean: Math.log(64), logDeviation: 0.86, max: 512 },
};

/**
 * `cpu-*`: decode constants are least-squares fits by hand to the step times of bench/results/engine-2026-11-23.md, within 8 % of every row:
 * 124 M, plain base, 1, 8, 16, 32 rows: 20.8, 34.4, 46.6, 76.4 ms; with deltas of rank 8: 32 rows of one 81.4 ms, of 32 84.7 ms.
 * 32 M: 4.81, 9.42, 12.9, 21.1 ms; 23.6 and 26.0 ms. Prompts, 32 M: 16 × 64 tokens in 189 ms (serve-2026-11-23.md);
 * 124 M: by its share of multiplications (86 M against 22 M parameters in linears). A delta from disk, idle: 21.8 ms.
 * The link from the object store (1 Gbit/s, 20 ms) is an assumption.
 */
const CPU = {
  rowsMax: 32,
  prefillTokensMax: 1024,
  paddedRankMs: 0,
  links: {
    slot: { fixedMs: 2, bytesPerMs: 4e6 },
    ram: { fixedMs: 15, bytesPerMs: 1e6 },
    disk: { fixedMs: 20, bytesPerMs: 0.125e6 },
  },
  unloadMs: 2,
  ...SHORT_TALK,
};

export const NODE_MODELS: Readonly<Record<string, NodeModel>> = {
  "cpu-124m": {
    ...CPU,
    name: "cpu-124m",
    source: "bench/results/engine-2026-11-23.md, 124 M parameters on two cores",
    ...{ stepMs: 19.3, rowMs: 1.79, promptTokenMs: 0.7, deltaRowMs: 0.14, packedRankMs: 0.0004 },
    bytesPerRank: 576 * KIB,
    sloMs: 1000,
  },
  "cpu-32m": {
    ...CPU,
    name: "cpu-32m",
    source: "bench/results/engine-2026-11-23.md, 32 M parameters on two cores",
    ...{ stepMs: 4.7, rowMs: 0.52, promptTokenMs: 0.18, deltaRowMs: 0.08, packedRankMs: 0.0003 },
    bytesPerRank: 240 * KIB,
    sloMs: 500,
  },
  /**
   * Not measured here: a 7 B model on one 80 GB accelerator from the literature. Step 20 ms and 8,000 prompt tokens/s
   * are the order of S-LoRA's and Toppings' A100 figures; padded ranks by Punica's +2 ms at rank 16 and batches of 32, halved for newer
   * kernels; 2 MiB per rank are query, key, value and output in half precision; 20 GB/s over PCIe, 3 GB/s from NVMe, 1 GB/s and 50 ms from
   * an object store. Lengths: fit to the Azure 2023 conversation trace.
   */
  "gpu-7b": {
    name: "gpu-7b",
    source: "literature on such accelerators, not measured",
    rowsMax: 64,
    ...{ stepMs: 20, rowMs: 0.15, promptTokenMs: 0.12, deltaRowMs: 0.01, packedRankMs: 0, paddedRankMs: 0.002 },
    prefillTokensMax: 4096,
    bytesPerRank: 2 * MIB,
    links: {
      slot: { fixedMs: 1, bytesPerMs: 20e6 },
      ram: { fixedMs: 2, bytesPerMs: 3e6 },
      disk: { fixedMs: 50, bytesPerMs: 1e6 },
    },
    unloadMs: 1,
    promptTokens: { logMean: 6.63, logDeviation: 0.98, max: 4096 },
    outputTokens: { logMean: 5.02, logDeviation: 0.86, max: 1024 },
    sloMs: 2000,
  },
};
export const DEFAULT_NODE_MODEL = "cpu-124m";

/** Per node, relative to its slots' bytes: a host has a few times its accelerator's memory, and a disk a few times that. */
export const RAM_PER_SLOT_BYTES = 4;
export const DISK_PER_SLOT_BYTES = 16;
/** No node has less room for deltas: as much as a handful of the largest, or one row of each would not run. */
export const LARGEST_DELTAS_MIN = 4;
export const BYTES_MAX: Bytes = 1024 * GIB;

/** A step's time. `rankSum`: over distinct deltas of the step; `rankMax`: the largest among them, 0 for none. */
export function stepMs(model: NodeModel, rows: number, promptTokens: number, rankSum: number, rankMax: number): Millis {
  const delta = rankMax === 0 ? 0 : model.deltaRowMs + model.packedRankMs * rankSum + model.paddedRankMs * rankMax;
  return model.stepMs + rows * (model.rowMs + delta) + promptTokens * model.promptTokenMs;
}

/** How long a link is busy with a load. */
export function linkMs(link: Link, sizeBytes: Bytes): Millis {
  return link.fixedMs + sizeBytes / link.bytesPerMs;
}

/** Until a delta is in its slot when nothing else is loading, from where it stands. */
export function loadMs(model: NodeModel, from: SimTier, sizeBytes: Bytes): Millis {
  const { slot, ram, disk } = model.links;
  let sumMs = 0;
  if (from >= REMOTE) sumMs += linkMs(disk, sizeBytes);
  if (from >= DISK) sumMs += linkMs(ram, sizeBytes);
  if (from >= RAM) sumMs += linkMs(slot, sizeBytes);
  return sumMs;
}

/** Requests per second that one node serves with full rows: what `--load` is a share of. */
export function requestsPerSecond(model: NodeModel, meanPromptTokens: number, meanOutputTokens: number, meanRank: number): number {
  const fullStepMs = stepMs(model, model.rowsMax, 0, (meanRank * model.rowsMax) / 2, meanRank * 2);
  const requestMs = meanPromptTokens * model.promptTokenMs + ((meanOutputTokens - 1) * fullStepMs + model.stepMs) / model.rowsMax;
  return 1000 / requestMs;
}
