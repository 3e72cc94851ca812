import { InferenceSession } from "onnxruntime-node";
import { type Clock, type Millis, systemClock } from "#kernel";
import { buildDecoderGraph, type Checkpoint, DECODER_VALUES, type LoadedDelta } from "#model";
import { DEFAULT_COMPUTE } from "../../compute.ts";
import type { Slot } from "../../contract.ts";
import type { Beginning, PrefixKeeper, Row, Runner, RunnerLimits, RunnerMemory, RunnerOptions, StepRow } from "../contract.ts";
import { OpenRows } from "../open-rows.ts";
import { DeltaTables } from "./delta-tables.ts";
import { type BoundBlocks, KvCache } from "./kv-cache.ts";
import { chooseLinearFormat } from "./linear-format.ts";
import { planBatches, type StepBatch } from "./step-batch.ts";
import { attentionFeeds, type BatchRow, cacheFeeds, deltaFeeds, type Feeds, tableFeeds, tokenFeeds } from "./step-feeds.ts";

/**
 * Outlasts the small nodes between two products, so that no thread sleeps within a layer. The runtime's own default of
 * several times that makes steps two to four times as long when another process needs one of the cores.
 */
const SPIN_MICROS = 100;

/** All logits are in this process's memory anyway: a row that asks for the largest gets them all. */
export interface DenseRunner extends Runner {
  run(rows: readonly StepRow[]): Promise<readonly Float32Array[]>;
}

/** A runner on the processor, its cache and tables in the process's own memory. See {@link openRunner}. */
export async function openCpuRunner(checkpoint: Checkpoint, options: RunnerOptions): Promise<DenseRunner> {
  const graph = buildDecoderGraph(checkpoint, await chooseLinearFormat((options.compute ?? DEFAULT_COMPUTE).weights));
  const weights = await graph.readWeights();
  const session = await InferenceSession.create(graph.model, {
    externalData: weights,
    intraOpNumThreads: options.threads ?? 2,
    interOpNumThreads: 1,
    extra: { session: { intra_op: { spin_duration_us: String(options.spinMicros ?? SPIN_MICROS) } } },
  });
  const weightsBytes = weights.reduce((sum, { data }) => sum + data.byteLength, 0);
  return new CpuRunner(checkpoint, session, weightsBytes, options);
}

class CpuRunner implements DenseRunner {
  readonly base;
  readonly limits: RunnerLimits;
  readonly #session: InferenceSession;
  readonly #clock: Clock;
  readonly #cache: KvCache;
  readonly #tables: DeltaTables;
  readonly #weightsBytes: number;
  readonly #rows: OpenRows;
  /** Tensors over parts of the delta tables, by the part: making a hundred of them takes longer than finding them. */
  readonly #tableFeeds = new Map<string, Feeds>();
  #insideRunMs: Millis = 0;
  #released: Promise<void> | undefined;

  constructor(checkpoint: Checkpoint, session: InferenceSession, weightsBytes: number, { limits, clock }: RunnerOptions) {
    this.base = checkpoint.info;
    this.limits = limits;
    this.#session = session;
    this.#clock = clock ?? systemClock;
    this.#weightsBytes = weightsBytes;
    this.#cache = new KvCache(this.base, limits.rowsMax, limits.kvTokensMax);
    this.#rows = new OpenRows(this.base, limits, this.#cache);
    this.#tables = new DeltaTables(this.base, limits.slotsMax, limits.tableRanksMax);
  }

  get insideRunMs(): Millis {
    return this.#insideRunMs;
  }

  get memory(): RunnerMemory {
    const { memoryBytes: cache, stagingBytes: workspace } = this.#cache;
    return { weights: this.#weightsBytes, cache, tables: this.#tables.memoryBytes, workspace };
  }

  attach(delta: LoadedDelta): Slot | undefined {
    return this.#tables.attach(delta);
  }

  /** Attaching has copied it: memory to memory, that takes less than a step. */
  fill(): boolean {
    return true;
  }

  detach(slot: Slot): void {
    this.#tables.detach(slot);
  }

  get prefixes(): PrefixKeeper {
    return this.#cache;
  }

  open(tokensMax: number, from?: Beginning): Row | undefined {
    return this.#rows.open(tokensMax, from);
  }

  close(row: Row): void {
    this.#rows.close(row);
  }

  async run(rows: readonly StepRow[]): Promise<readonly Float32Array[]> {
    this.#rows.check(rows);
    const logits: Float32Array[] = rows.map(() => new Float32Array(0));
    const batches = planBatches(rows, ({ row }) => this.#cache.length(row));
    for (const batch of batches.flatMap((batch) => this.#splitByDelta(batch, rows))) await this.#runBatch(batch, rows, logits);
    return logits;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#released ??= this.#session.release();
    await this.#released;
  }

  /** Prompts are long enough to run by themselves where their deltas lie too far apart to be bound together. */
  #splitByDelta(batch: StepBatch, rows: readonly StepRow[]): StepBatch[] {
    const slots = slotsOf(batch.indexes.map((index) => rows[index]!));
    if (batch.kind === "decode" || slots.size < 2 || this.#tables.isTogether(slots)) return [batch];
    const bySlot = Map.groupBy(batch.indexes, (index) => rows[index]!.slot);
    return [...bySlot.values()].map((indexes) => ({ ...batch, indexes }));
  }

  async #runBatch({ kind, indexes, span }: StepBatch, rows: readonly StepRow[], logits: Float32Array[]): Promise<void> {
    const stepRows = indexes.map((index) => rows[index]!);
    const batch: BatchRow[] = stepRows.map(({ row, tokens, slot, logits }) => ({ tokens, slot, logits, past: this.#cache.length(row) }));
    const slots = slotsOf(stepRows);
    const deltas = slots.size > 0 ? this.#tables.bind(slots, kind === "decode") : undefined;
    const blocks = this.#bindBlocks(kind, stepRows);
    const outputs = await this.#runSession({
      ...tokenFeeds(batch, span),
      ...attentionFeeds(this.base, batch, span, blocks),
      ...cacheFeeds(this.base, blocks.window),
      ...deltaFeeds(batch, span, deltas),
      ...this.#boundTables(deltas),
    });
    const added = outputs.newKeyValues;
    for (const [index, { row, tokens }] of stepRows.entries()) this.#cache.append(row, added, index, span, tokens.length);
    let from = 0;
    for (const [index, { logits: wanted, tokens }] of stepRows.entries()) {
      const count = wanted === "all" ? tokens.length : wanted === "none" ? 0 : 1;
      logits[indexes[index]!] = outputs.logits.subarray(from, from + count * this.base.vocabularySize);
      from += count * this.base.vocabularySize;
    }
  }

  #bindBlocks(kind: StepBatch["kind"], rows: readonly StepRow[]): BoundBlocks {
    switch (kind) {
      case "fresh":
        return this.#cache.bindNothing(rows.length);
      case "chunk":
        return this.#cache.bindAlone(rows[0]!.row);
      case "decode":
        return this.#cache.bindTogether(rows.map(({ row }) => row));
    }
  }

  #boundTables(bound: ReturnType<DeltaTables["bind"]> | undefined): Feeds {
    const key = bound ? `${bound.firstRank}+${bound.chunkCount}*${bound.chunkRanks}` : "";
    let feeds = this.#tableFeeds.get(key);
    if (!feeds) {
      if (this.#tableFeeds.size >= TABLE_FEEDS_MAX) this.#tableFeeds.clear();
      feeds = tableFeeds(this.#tables.tables, bound);
      this.#tableFeeds.set(key, feeds);
    }
    return feeds;
  }

  async #runSession(feeds: Feeds): Promise<{ readonly logits: Float32Array; readonly newKeyValues: Float32Array }> {
    const startMs = this.#clock.monotonic();
    const outputs = await this.#session.run(feeds);
    this.#insideRunMs += this.#clock.monotonic() - startMs;
    const valuesOf = (name: string) => outputs[name]!.data as Float32Array;
    return { logits: valuesOf(DECODER_VALUES.logits), newKeyValues: valuesOf(DECODER_VALUES.newKeyValues) };
  }
}

/** A few per combination that recurs; cheap to make again. */
const TABLE_FEEDS_MAX = 64;

function slotsOf(rows: readonly StepRow[]): ReadonlySet<Slot> {
  return new Set(rows.flatMap(({ slot }) => (slot === undefined ? [] : [slot])));
}
