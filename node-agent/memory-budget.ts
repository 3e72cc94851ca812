import { type Bytes, Fault, MIB, type Tokens } from "#kernel";
import { type BaseInfo, BLOCK_TOKENS, type Checkpoint, type LinearSite, PAGE_RANKS } from "#model";
import { areFilters, type Compute, HAND_OVER_KEPT_BYTES, type RunnerLimits, type RunnerMemory, weightCopies } from "./engine/index.ts";

/** Where engines compute, and how much they may hold there. */
export interface MemoryRoom {
  readonly sizeBytes: Bytes;
  /** Who says so: `this machine`, `the container`, `--memory-mib`, … */
  readonly source: string;
}

/** What decides how much an engine holds. */
export interface EngineShape {
  readonly checkpoint: Pick<Checkpoint, "info" | "config">;
  readonly limits: RunnerLimits;
  readonly compute: Compute;
  /** Prompt tokens in one step. */
  readonly prefillTokensMax: Tokens;
}

const FLOAT_BYTES: Bytes = 4;
const QUANTISED_BYTES = { int8: 1, int4: 1 / 2 } as const;
/** Inputs that share a float32 scale, as in runner/cpu/linear-format.ts and runner/device/device-numbers.ts. The last block of an output is filled up. */
const BLOCK_INPUTS = { processor: { int8: 128, int4: 32 }, device: { int8: 32, int4: 32 } } as const;

/** Keys, values, tables and activations are float32, but on devices that are told to keep less. */
export function valueBytes({ provider, weights }: Compute): Bytes {
  return provider !== "cpu" && weights === "float16" ? 2 : FLOAT_BYTES;
}

/** What an engine will hold, told before anything is taken. Never less than what the runner counts, and hardly more. */
export function foreseeMemory(shape: EngineShape): RunnerMemory {
  const once = onceBytes(shape);
  const weights = weightCopiesOf(shape) * once;
  const cache = cacheBytes(shape);
  const tables = tableBytes(shape);
  return { weights, cache, tables, workspace: workspaceBytes(shape, { once, weights, cache }) };
}

/** On the processor small bases are held twice. */
function weightCopiesOf({ checkpoint, compute }: EngineShape): number {
  return compute.provider === "cpu" ? weightCopies(checkpoint.info, compute.weights) : 1;
}

/** All parameters and the table of angles. Where linears and head are filters or quantised, a tied embedding stays beside the head as it is. */
function onceBytes({ checkpoint: { info, config }, compute }: EngineShape): Bytes {
  const angles = config.rope ? config.contextTokensMax * config.headSize : 0;
  const plain = (info.parameterCount + angles) * valueBytes(compute);
  const { provider, weights } = compute;
  const head = { inputSize: info.hiddenSize, outputSize: info.vocabularySize };
  if (holdsFilters(info, compute) && config.tiedEmbeddings) return plain + floatBytes([head]);
  if (weights === "float32" || weights === "float16") return plain;
  const replaced = config.tiedEmbeddings ? info.linears : [...info.linears, head];
  const inputs = BLOCK_INPUTS[provider === "cpu" ? "processor" : "device"][weights];
  return Math.ceil(plain - floatBytes(replaced) + quantisedBytes([...info.linears, head], inputs, QUANTISED_BYTES[weights]));
}

function holdsFilters(info: BaseInfo, { provider, weights }: Compute): boolean {
  return provider === "cpu" && weights === "float32" && areFilters(info);
}

function floatBytes(linears: readonly LinearSize[]): Bytes {
  return linears.reduce((sum, { inputSize, outputSize }) => sum + inputSize * outputSize, 0) * FLOAT_BYTES;
}

function quantisedBytes(linears: readonly LinearSize[], inputs: number, weightBytes: number): Bytes {
  const blockBytes = inputs * weightBytes + FLOAT_BYTES;
  return linears.reduce((sum, { inputSize, outputSize }) => sum + outputSize * Math.ceil(inputSize / inputs) * blockBytes, 0);
}

type LinearSize = Pick<LinearSite, "inputSize" | "outputSize">;

/** In the process: blocks for all tokens, a partly filled one per row, and one to swap with. On a device: slots, which hold no more together. */
function cacheBytes({ checkpoint: { info }, limits, compute }: EngineShape): Bytes {
  const blocks =
    compute.provider === "cpu"
      ? Math.floor(limits.kvTokensMax / BLOCK_TOKENS) + limits.rowsMax + 1
      : Math.ceil(limits.kvTokensMax / BLOCK_TOKENS);
  return blocks * blockValues(info) * valueBytes(compute);
}

/** Keys and values of one block, in values. */
function blockValues({ layerCount, kvHeadCount, headSize }: BaseInfo): number {
  return BLOCK_TOKENS * 2 * layerCount * kvHeadCount * headSize;
}

/** In the process: a whole number of the largest chunks that a step may bind. On a device: whole pages, and a blank one. */
function tableBytes({ checkpoint: { info }, limits: { tableRanksMax }, compute }: EngineShape): Bytes {
  const chunkRanks = 2 ** Math.floor(Math.log2(tableRanksMax));
  const ranks =
    compute.provider === "cpu"
      ? Math.ceil(tableRanksMax / chunkRanks) * chunkRanks
      : (Math.floor(tableRanksMax / PAGE_RANKS) + 1) * PAGE_RANKS;
  return ranks * info.linears.reduce((sum, { inputSize, outputSize }) => sum + inputSize + outputSize, 0) * valueBytes(compute);
}

/** How often each kind of value is alive at the same time, in the step that needs the most. */
const ALIVE = { hidden: 8, heads: 3, inner: 3, scores: 3, logits: 2 } as const;
/** The runtime's own: arenas, kernels, threads. Measured: 50 to 60 MiB with a base of 3.6 M parameters, with huge pages. */
const RUNTIME_BYTES: Bytes = 64 * MIB;
/** Logits of a step whose prompts' log-probabilities are wanted are all kept; see engine-options.ts. */
const SCORED_TOKENS: Tokens = 32;

function workspaceBytes(
  { checkpoint: { info, config }, limits, compute, prefillTokensMax }: EngineShape,
  { once, weights, cache }: { readonly once: Bytes; readonly weights: Bytes; readonly cache: Bytes },
): Bytes {
  const longest = Math.min(info.contextTokensMax, limits.kvTokensMax);
  const tokens = prefillTokensMax + limits.rowsMax;
  const heads = (info.headCount + 2 * info.kvHeadCount) * info.headSize;
  const gated = info.architecture === "gpt2" ? 1 : 2;
  const values =
    tokens * (ALIVE.hidden * info.hiddenSize + ALIVE.heads * heads + ALIVE.inner * gated * config.intermediateSize) +
    ALIVE.logits * Math.max(limits.rowsMax, SCORED_TOKENS) * info.vocabularySize;
  // Attention is one kernel there, which keeps no scores. One tensor at a time is widened or grown, and then stands twice.
  if (compute.provider !== "cpu") {
    const largest = Math.max(
      info.hiddenSize * info.vocabularySize,
      ...info.linears.map(({ inputSize, outputSize }) => 3 * inputSize * outputSize),
    );
    return FLOAT_BYTES * (values + largest) + Math.ceil(cache / (2 * info.layerCount));
  }
  const scores = ALIVE.scores * info.headCount * prefillTokensMax * longest;
  const staging = Math.ceil(longest / BLOCK_TOKENS) * blockValues(info);
  const activations = FLOAT_BYTES * (values + scores + staging);
  // While it loads, the runtime holds the weights as read, and for every session as copied and as packed, of which filters make one more; the
  // cache is not touched yet. What packing leaves free in its arena then serves activations.
  const copies = holdsFilters(info, compute) ? 2 * weights : weights;
  return RUNTIME_BYTES + Math.max(activations, weights, once + copies - cache);
}

/** Which option makes a term smaller. */
const SHRINKS: Readonly<Record<keyof RunnerMemory, string>> = {
  weights: "--weights",
  cache: "--kv-mib, --rows",
  tables: "--tables-mib",
  workspace: "--prefill-tokens, --rows",
};

export function sumOf(memory: RunnerMemory): Bytes {
  return memory.weights + memory.cache + memory.tables + memory.workspace;
}

/** Something that takes memory where engines compute, and what makes it smaller. */
export interface Taken {
  readonly what: string;
  readonly sizeBytes: Bytes;
  readonly shrinks?: string;
}

/** Who holds how much of a node's room. What does not fit is refused before it begins, with every term. */
export class MemoryLedger {
  readonly #room: MemoryRoom;
  readonly #besideRunner: (memory: RunnerMemory) => readonly Taken[];
  readonly #taken = new Set<Taken>();

  /** @param besideRunner what an engine takes here that its runner does not count */
  constructor(room: MemoryRoom, besideRunner: (memory: RunnerMemory) => readonly Taken[] = () => []) {
    this.#room = room;
    this.#besideRunner = besideRunner;
  }

  get room(): MemoryRoom {
    return this.#room;
  }

  /** Something that is not an engine's. */
  take(taken: Taken): void {
    this.#taken.add(taken);
  }

  /** Room for the engine of `base`, until disposed. @throws Fault capacity_exhausted, never to be retried, that lists every term */
  reserve(base: string, memory: RunnerMemory): Disposable {
    const terms = Object.keys(SHRINKS) as (keyof RunnerMemory)[];
    const own: Taken[] = [
      ...terms.map((term) => ({ what: term, sizeBytes: memory[term], shrinks: SHRINKS[term] })),
      ...this.#besideRunner(memory),
    ];
    const wanted = [...own, ...this.#taken];
    const sizeBytes = sizeOf(wanted);
    if (sizeBytes > this.#room.sizeBytes) throw tooLarge(base, wanted, sizeBytes, this.#room);
    const engine = { what: `the engine of ${base}`, sizeBytes: sizeOf(own) };
    this.#taken.add(engine);
    return { [Symbol.dispose]: () => void this.#taken.delete(engine) };
  }
}

/** Of the agent itself: tokenizers, streams, claims. */
const AGENT_BYTES: Bytes = 256 * MIB;

/** The room of one node. On the processor, engines share it with the agent, its deltas in memory and those on their way to an engine. */
export function createMemoryLedger(room: MemoryRoom, compute: Compute, ramBytesMax: Bytes): MemoryLedger {
  if (compute.provider !== "cpu") return new MemoryLedger(room);
  const ledger = new MemoryLedger(room, ({ tables }) => handOverTerms(tables));
  for (const term of nodeTerms(ramBytesMax)) ledger.take(term);
  return ledger;
}

/** What a node holds in the machine's memory, however many engines it has. */
export function nodeTerms(ramBytesMax: Bytes): readonly Taken[] {
  return [
    { what: "the agent", sizeBytes: AGENT_BYTES },
    { what: "deltas in memory", sizeBytes: ramBytesMax, shrinks: "--ram-mib" },
  ];
}

/**
 * What each engine's process holds there for the way of deltas to it, once a large one has come. No delta is larger than the tables
 * that it is attached to; what is larger than what is kept lies there only while it is on its way.
 */
export function handOverTerms(tableBytesMax: Bytes): readonly Taken[] {
  const sizeBytes = Math.min(HAND_OVER_KEPT_BYTES, tableBytesMax);
  return [
    { what: "hand-over file", sizeBytes, shrinks: "--tables-mib" },
    { what: "its reader", sizeBytes, shrinks: "--tables-mib" },
  ];
}

function sizeOf(taken: readonly Taken[]): Bytes {
  return taken.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function tooLarge(base: string, wanted: readonly Taken[], sizeBytes: Bytes, room: MemoryRoom): Fault {
  const terms = wanted.map(
    ({ what, sizeBytes, shrinks }) => `${what} ${mib(sizeBytes)} MiB${shrinks === undefined ? "" : ` (${shrinks})`}`,
  );
  return new Fault(
    "capacity_exhausted",
    `${base} would take ${mib(sizeBytes)} MiB, and ${room.source} has ${mib(room.sizeBytes)} MiB: ${terms.join(", ")}`,
    { retry: { kind: "never" }, detail: { resource: base } },
  );
}

function mib(sizeBytes: Bytes): number {
  return Math.ceil(sizeBytes / MIB);
}
