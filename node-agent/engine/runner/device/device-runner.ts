import { type Bytes, type Clock, Fault, type Millis, systemClock, type Tokens } from "#kernel";
import type { Checkpoint, DeviceFloat, LoadedDelta } from "#model";
import { DEFAULT_COMPUTE } from "../../compute.ts";
import type { Slot } from "../../contract.ts";
import type {
  Beginning,
  BusTraffic,
  PrefixKeeper,
  Row,
  RowLogits,
  Runner,
  RunnerLimits,
  RunnerMemory,
  RunnerOptions,
  StepLogits,
  StepRow,
} from "../contract.ts";
import { OpenRows } from "../open-rows.ts";
import { probeChunkTokens } from "./attention-probe.ts";
import type { DeviceDeltas, Feeds } from "./contract.ts";
import { type DeviceBatch, planDeviceBatches } from "./device-batches.ts";
import { DeviceCache } from "./device-cache.ts";
import { PagedDeltas } from "./device-deltas.ts";
import { chunkFeeds, decodeFeeds } from "./device-feeds.ts";
import { DeviceGraphs } from "./device-graphs.ts";
import { DeviceLogits, wantsTop } from "./device-logits.ts";
import { DeviceMemory, sizeBytes } from "./device-memory.ts";
import { DEVICE_NUMBERS } from "./device-numbers.ts";
import { CAPACITY_UNIT, SlotBanks } from "./slot-banks.ts";

/** What lies on the device for one base. */
interface DeviceParts {
  readonly memory: DeviceMemory;
  readonly graphs: DeviceGraphs;
  readonly deltas: DeviceDeltas;
  /** See {@link probeChunkTokens}. */
  readonly chunkTokens: Tokens;
  /** All of these, to be disposed of with the runner. */
  readonly owned: AsyncDisposableStack;
}

/**
 * A runner whose weights, cache and deltas stay on a device. See {@link openRunner}.
 * @throws Fault parameter_unsupported for heads that devices are not offered with, and where there is no device or none with such numbers.
 */
export async function openDeviceRunner(checkpoint: Checkpoint, options: RunnerOptions): Promise<Runner> {
  const { type, blocks } = DEVICE_NUMBERS[(options.compute ?? DEFAULT_COMPUTE).weights];
  const { headSize } = checkpoint.info;
  if (headSize % HEAD_UNIT !== 0) {
    throw new Fault(
      "parameter_unsupported",
      `heads of ${headSize} are no multiple of ${HEAD_UNIT}, which the attention of --ep webgpu takes`,
    );
  }
  await using opening = new AsyncDisposableStack();
  const memory = opening.use(await openMemory(type));
  const deltas = opening.use(await PagedDeltas.open(checkpoint.info, options.limits, memory));
  const graphs = opening.use(await DeviceGraphs.open(checkpoint, memory, deltas.part, blocks));
  const chunkTokens = await probeChunkTokens(checkpoint.info, memory);
  return new DeviceRunner(checkpoint, { memory, graphs, deltas, chunkTokens, owned: opening.move() }, options);
}

/** The runtime's GroupQueryAttention takes heads of a multiple of so many numbers. */
const HEAD_UNIT = 8;

async function openMemory(type: DeviceFloat): Promise<DeviceMemory> {
  let memory: DeviceMemory | undefined;
  try {
    memory = await DeviceMemory.open(type);
    (await memory.zeros([1])).dispose(); // Only a run tells whether the device has numbers of that type.
    return memory;
  } catch (cause) {
    await memory?.[Symbol.asyncDispose]();
    const what = type === "float16" ? "there is no device, or it has no float16 (shader-f16)" : "there is no device";
    throw new Fault("parameter_unsupported", `--ep webgpu with --weights ${type} does not start: ${what}; doctor tells more`, {
      detail: { field: "ep" },
      cause,
    });
  }
}

class DeviceRunner implements Runner {
  readonly base;
  readonly limits: RunnerLimits;
  readonly prefixes: PrefixKeeper;
  readonly #parts: DeviceParts;
  readonly #clock: Clock;
  readonly #banks: SlotBanks;
  readonly #cache: DeviceCache;
  readonly #logits: DeviceLogits;
  readonly #rows: OpenRows;
  #insideRunMs: Millis = 0;
  #released: Promise<void> | undefined;

  constructor(checkpoint: Checkpoint, parts: DeviceParts, { limits, clock }: RunnerOptions) {
    this.base = checkpoint.info;
    this.limits = limits;
    this.#parts = parts;
    this.#clock = clock ?? systemClock;
    this.#banks = new SlotBanks(limits.kvTokensMax, this.base.contextTokensMax);
    this.#rows = new OpenRows(this.base, limits, this.#banks);
    this.#cache = new DeviceCache(this.base, parts.memory);
    const { layerCount, kvHeadCount, headSize } = this.base;
    this.prefixes = prefixKeeper(this.#banks, sizeBytes(parts.memory.type, [2, layerCount, kvHeadCount, headSize]));
    this.#logits = new DeviceLogits(parts.memory, this.base.vocabularySize);
  }

  get insideRunMs(): Millis {
    return this.#insideRunMs;
  }

  get memory(): RunnerMemory {
    const { graphs, deltas } = this.#parts;
    const workspace = this.#logits.memoryBytes;
    return { weights: graphs.store.memoryBytes, cache: this.#cache.memoryBytes, tables: deltas.memoryBytes, workspace };
  }

  get bus(): BusTraffic {
    return this.#parts.memory.bus;
  }

  attach(delta: LoadedDelta): Slot | undefined {
    return this.#parts.deltas.attach(delta);
  }

  async fill(slot: Slot): Promise<boolean> {
    return await this.#parts.deltas.fill(slot);
  }

  detach(slot: Slot): void {
    this.#parts.deltas.detach(slot);
  }

  open(tokensMax: Tokens, from?: Beginning): Row | undefined {
    return this.#rows.open(tokensMax, from);
  }

  close(row: Row): void {
    this.#rows.close(row);
  }

  async run(rows: readonly StepRow[]): Promise<StepLogits> {
    this.#rows.check(rows);
    for (const copy of this.#banks.takeCopies()) await this.#cache.copy(copy);
    await this.#cache.follow(this.#banks.layout);
    this.#logits.begin();
    const found: RowLogits[][] = rows.map(() => []);
    for (const batch of planDeviceBatches(rows, this.#banks, this.#parts.chunkTokens)) {
      const logits = await this.#runBatch(batch);
      for (const [at, { index }] of batch.parts.entries()) found[index]!.push(logits[at]!);
    }
    return found.map(together);
  }

  /** Tensors and sessions are disposed of before the process ends: else the runtime ends it by force. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#released ??= this.#release();
    await this.#released;
  }

  async #runBatch({ phase, capacity, parts }: DeviceBatch): Promise<readonly RowLogits[]> {
    const rows = parts.map(({ step }) => step);
    const { feeds, slotCount, paddingTokens } =
      phase === "decode" ? decodeFeeds(rows, this.#banks) : chunkFeeds(this.base, rows[0]!, this.#banks);
    const cache = this.#cache.bind(capacity, slotCount, phase === "chunk");
    const deltas = this.#deltaFeeds(rows, paddingTokens);
    const { session, weights } = await this.#parts.graphs.load(phase, deltas !== undefined, wantsTop(rows));
    const fetches = { ...cache.fetches, ...(await this.#logits.fetches(rows)) };
    const startMs = this.#clock.monotonic();
    const outputs = await this.#parts.memory.run(session, { ...weights, ...cache.feeds, ...feeds, ...deltas }, fetches);
    this.#insideRunMs += this.#clock.monotonic() - startMs;
    for (const { row, tokens } of rows) this.#banks.append(row, tokens.length);
    return await this.#logits.read(rows, outputs);
  }

  /** Undefined where no row has a delta. */
  #deltaFeeds(rows: readonly StepRow[], paddingTokens: number): Feeds | undefined {
    if (!rows.some(({ slot }) => slot !== undefined)) return undefined;
    const padding = new Array<undefined>(paddingTokens).fill(undefined);
    return this.#parts.deltas.feeds([...rows.flatMap(({ tokens, slot }) => tokens.map(() => slot)), ...padding]);
  }

  async #release(): Promise<void> {
    await this.#cache[Symbol.asyncDispose]();
    await this.#logits[Symbol.asyncDispose]();
    await this.#parts.owned.disposeAsync();
  }
}

/** A row's logits of all its parts in a step; those of one part as they are. */
function together(parts: readonly RowLogits[]): RowLogits {
  const some = parts.filter((part) => !(part instanceof Float32Array) || part.length > 0);
  if (some.length <= 1) return some[0] ?? new Float32Array(0);
  const dense = some.map((part) => part as Float32Array);
  const all = new Float32Array(dense.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of dense) {
    all.set(part, end);
    end += part.length;
  }
  return all;
}

/** Places are given at once; the device copies before its next step. */
function prefixKeeper(banks: SlotBanks, tokenBytes: Bytes): PrefixKeeper {
  return {
    unitTokens: CAPACITY_UNIT,
    get keptTokens() {
      return banks.keptTokens;
    },
    get keptBytes() {
      return banks.keptTokens * tokenBytes;
    },
    keep: (row, tokens, shared) => banks.keep(row, tokens, shared),
    forget: (prefix) => banks.forget(prefix),
    copy: (from, to, tokens) => banks.copy(from, to, tokens),
  };
}
