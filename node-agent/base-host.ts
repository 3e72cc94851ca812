import { type BaseEngine, type BaseLoad, type BaseTiming, type Clock, Fault, type Log, type Millis, sha256Hex, type Tier } from "#kernel";
import { type BaseInfo, type Checkpoint, type DeltaReference, openCheckpoint, openTextCodec, RANK_MAX, type TextCodec } from "#model";
import { BaseWork } from "./base-work.ts";
import type { ChangeBell } from "./change-bell.ts";
import type { Arrival, DeltaCache, DeltaSlots } from "./delta-cache/index.ts";
import type { DeltaDemand } from "./delta-demand.ts";
import type { Compute, Engine, EngineLoad, LossKind, RunnerLimits, Slot } from "./engine/index.ts";
import { type GenerationDefaults, readGenerationDefaults } from "./generation/index.ts";
import type { MemoryRoom } from "./memory-budget.ts";
import { RateMeter } from "./rate-meter.ts";
import { StepSpeed } from "./step-speed.ts";
import { SupervisedEngine } from "./supervised-engine.ts";

/** The right to run sequences on a base's engine, with a delta or without. Hold it while they run. */
export interface EngineUse {
  readonly engine: Engine;
  /** Undefined for the plain base. */
  readonly slot: Slot | undefined;
  /** Where the delta was; the plain base is always in its slot. */
  readonly arrival: Arrival;
  /** Unique among all sequences of this node's life. */
  readonly sequencePrefix: string;
  release(): void;
}

/** Starts an engine for the base in `directory`. */
export type EngineFactory = (base: { readonly directory: string; readonly name: string; readonly limits: RunnerLimits }) => Promise<Engine>;

export interface BaseHostDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly deltas: DeltaCache;
  readonly demand: DeltaDemand;
  readonly startEngine: EngineFactory;
  /** Rings when the engine is lost and when it is back. */
  readonly changes: ChangeBell;
  /** Told whenever the engine of a base was lost, or did not start again. */
  readonly engineLost?: (base: string, reason: LossKind | "no_start") => void;
}

export interface BaseHostOptions {
  readonly name: string;
  /** Where it comes from, as everybody names it: a folder, or a URL. */
  readonly directory: string;
  /** A Hugging Face folder on this machine. Default: `directory`. */
  readonly folder?: string;
  /** What its engine computes with; part of the fingerprint. */
  readonly compute: Compute;
  /** Where that is, for people, and how much all engines may hold there. Default: the provider's name; not known. */
  readonly place?: { readonly device: string; readonly room: MemoryRoom | undefined };
  /** How much an engine for this base may hold. */
  readonly limits: (base: BaseInfo) => RunnerLimits;
  /** Sets memory aside for the engine for as long as the base is here. @throws Fault capacity_exhausted */
  readonly reserve: (checkpoint: Checkpoint, limits: RunnerLimits) => Disposable;
  /** Of the engine; part of the fingerprint. */
  readonly engineVersion: string;
}

const FINGERPRINT_LENGTH = 12;

/** One base on this node: what it is, how it reads and writes text, and its engine, restarted whenever it is lost. */
export class BaseHost implements AsyncDisposable {
  readonly info: BaseInfo;
  readonly codec: TextCodec;
  readonly defaults: GenerationDefaults;
  readonly directory: string;
  readonly compute: Compute;
  readonly #place: NonNullable<BaseHostOptions["place"]>;
  readonly #engineVersion: string;
  readonly #reserved: Disposable;
  readonly #supervised: SupervisedEngine<DeltaSlots>;
  readonly #limits: RunnerLimits;
  readonly #rate: RateMeter;
  readonly #speed: StepSpeed;
  readonly #loadMs: (tier: Tier) => Millis;
  readonly work: BaseWork;
  #uses = 0;

  private constructor(
    parts: {
      readonly info: BaseInfo;
      readonly codec: TextCodec;
      readonly defaults: GenerationDefaults;
      readonly limits: RunnerLimits;
      readonly supervised: SupervisedEngine<DeltaSlots>;
      readonly reserved: Disposable;
    },
    { clock, demand, deltas }: Pick<BaseHostDeps, "clock" | "demand" | "deltas">,
    options: BaseHostOptions,
  ) {
    this.info = parts.info;
    this.codec = parts.codec;
    this.defaults = parts.defaults;
    this.directory = options.directory;
    this.compute = options.compute;
    this.#place = options.place ?? { device: options.compute.provider, room: undefined };
    this.#reserved = parts.reserved;
    this.#supervised = parts.supervised;
    this.#limits = parts.limits;
    this.#engineVersion = options.engineVersion;
    this.#rate = new RateMeter(clock);
    this.#speed = new StepSpeed(clock);
    this.#loadMs = (tier) => deltas.loadTimes.meanMs(tier);
    this.work = new BaseWork(clock, demand);
  }

  /** Reads the base's folder and starts its engine. @throws Faults of the folder's files; engine_lost. */
  static async start(deps: BaseHostDeps, options: BaseHostOptions): Promise<BaseHost> {
    const { name } = options;
    const directory = options.folder ?? options.directory;
    const checkpoint = await openCheckpoint(directory, { name });
    const { info } = checkpoint;
    const codec = await openTextCodec(directory, info);
    const defaults = await readGenerationDefaults(directory);
    deps.deltas.addBase(info);
    const limits = options.limits(info);
    using starting = new DisposableStack();
    const reserved = starting.use(options.reserve(checkpoint, limits));
    const supervised = await SupervisedEngine.start<DeltaSlots>(deps, () => deps.startEngine({ directory, name, limits }), {
      begin: (engine) => {
        deps.changes.ring();
        return deps.deltas.openSlots(engine, limits);
      },
      end: (slots, reason) => {
        slots.close(reason);
        deps.changes.ring();
      },
      lost: (reason) => deps.engineLost?.(name, reason),
    });
    starting.move();
    return new BaseHost({ info, codec, defaults, limits, supervised, reserved }, deps, options);
  }

  /**
   * Brings the delta into a slot and gives the right to use it.
   *
   * @throws Fault engine_lost while there is no engine; faults of the delta cache; the signal's reason.
   */
  async use(delta: DeltaReference | undefined, signal: AbortSignal): Promise<EngineUse> {
    const life = this.#supervised.life;
    if (!life) throw new Fault("engine_lost", "the engine's process ended; it is being started again");
    const lease = delta && (await life.belongings.acquire(delta, signal));
    this.#uses += 1;
    return {
      engine: life.engine,
      slot: lease?.slot,
      arrival: lease?.arrival ?? "slot",
      sequencePrefix: String(this.#uses),
      release: () => lease?.release(),
    };
  }

  /** Brings a delta into a slot, ahead of who will ask for it. @throws as {@link use} */
  async load(delta: DeltaReference, signal: AbortSignal): Promise<void> {
    (await this.use(delta, signal)).release();
  }

  /** What the engine says of itself; undefined while there is none. */
  get engineLoad(): EngineLoad | undefined {
    return this.#supervised.life?.engine.load();
  }

  /** How busy this base is, and how fast. Without an engine it has room for nothing. */
  report(): BaseLoad {
    const { name, architecture, contextTokensMax, vocabularySize, parameterCount, weightType } = this.info;
    const description = { name, architecture, contextTokensMax, vocabularySize, parameterCount, weightType, directory: this.directory };
    const rankMax = Math.min(RANK_MAX, this.#limits.tableRanksMax);
    const engine = this.engineLoad;
    if (!engine) return { ...description, rankMax, ...NO_ROOM, engine: this.#engine(undefined) };
    const { rowsRunning, rowsMax, queueDepth, queueDepthMax, slotsUsed, slotsMax, kvTokensUsed, kvTokensMax } = engine;
    const tokensPerSecond = this.#rate.rate(engine.promptTokens + engine.completionTokens);
    const counts = { rowsRunning, rowsMax, queueDepth, queueDepthMax, slotsUsed, slotsMax, kvTokensUsed, kvTokensMax };
    return { ...description, rankMax, ...counts, tokensPerSecond, timing: this.#timing(engine), engine: this.#engine(engine) };
  }

  #engine(load: EngineLoad | undefined): BaseEngine {
    const { device, room } = this.#place;
    const memoryBytes = Object.values(load?.memory ?? {}).reduce((sum, sizeBytes) => sum + sizeBytes, 0);
    return { ...this.compute, device, memoryBytes: Math.ceil(memoryBytes), memoryBytesMax: Math.floor(room?.sizeBytes ?? 0) };
  }

  #timing(engine: EngineLoad): BaseTiming | undefined {
    this.#speed.look(engine);
    const costs = this.#speed.costs(engine.rowsMax);
    if (!costs) return undefined;
    const { starved, held } = this.#supervised.life?.belongings.status ?? { starved: 0, held: 0 };
    const { promptTokensWaiting, meanRowMs } = this.work;
    const loads = { slotLoadMs: this.#loadMs("slot"), ramLoadMs: this.#loadMs("ram"), diskLoadMs: this.#loadMs("disk") };
    return { ...costs, ...loads, meanRowMs, promptTokensWaiting, starvedLoads: starved, slotsInUse: held };
  }

  /** Changes when the weights, their format or the engine change. */
  fingerprint(delta: DeltaReference | undefined): string {
    const { provider, weights } = this.compute;
    const parts = [this.info.digest, delta?.digest ?? "", this.#engineVersion, provider, weights];
    return `fp_${sha256Hex(parts.join("\n")).slice(0, FINGERPRINT_LENGTH)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#supervised[Symbol.asyncDispose]();
    this.#reserved[Symbol.dispose]();
  }
}

const NO_ROOM = {
  rowsRunning: 0,
  rowsMax: 0,
  queueDepth: 0,
  queueDepthMax: 0,
  slotsUsed: 0,
  slotsMax: 0,
  kvTokensUsed: 0,
  kvTokensMax: 0,
  tokensPerSecond: 0,
} as const;
