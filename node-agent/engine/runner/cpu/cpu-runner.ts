import type { InferenceSession } from "onnxruntime-node";
import { assert, type Clock, type Millis, systemClock, type Tokens } from "#kernel";
import { type Checkpoint, DECODER_VALUES, type LoadedDelta } from "#model";
import type { Slot } from "../../contract.ts";
import type { Beginning, PrefixKeeper, Row, Runner, RunnerLimits, RunnerMemory, RunnerOptions, StepRow } from "../contract.ts";
import { OpenRows } from "../open-rows.ts";
import type { BlockWindow, NewKeyValues } from "./block-memory.ts";
import { type BoundBatch, DecodeTensors } from "./decode-tensors.ts";
import { evenOrder } from "./delta-places.ts";
import { type BoundDeltas, DeltaTables } from "./delta-tables.ts";
import { type BoundBlocks, KvCache } from "./kv-cache.ts";
import { planBatches, type StepBatch } from "./step-batch.ts";
import { attentionFeeds, type BatchRow, cacheFeeds, deltaFeeds, evenDeltaFeeds, type Feeds, tableFeeds, tokenFeeds } from "./step-feeds.ts";
import { openStepSessions, releaseStepSessions, type StepSessions } from "./step-sessions.ts";
import type { WeightCopies } from "./weight-copies.ts";

/** All logits are in this process's memory anyway: a row that asks for the largest gets them all. */
export interface DenseRunner extends Runner {
  run(rows: readonly StepRow[]): Promise<readonly Float32Array[]>;
}

/** A runner on the processor, its cache and tables in the process's own memory. See {@link openRunner}. `copies` of the weights: see weight-copies.ts. */
export async function openCpuRunner(checkpoint: Checkpoint, options: RunnerOptions, copies?: WeightCopies): Promise<DenseRunner> {
  return new CpuRunner(checkpoint, await openStepSessions(checkpoint, options, copies), options);
}

/** Keys and values of a row's draft: `count` positions of a step's result, from its position `from`. */
interface ComputedDraft {
  readonly added: NewKeyValues;
  readonly from: Tokens;
  readonly count: Tokens;
}

class CpuRunner implements DenseRunner {
  readonly base;
  readonly limits: RunnerLimits;
  readonly #sessions: StepSessions;
  readonly #clock: Clock;
  readonly #cache: KvCache;
  readonly #tables: DeltaTables;
  readonly #rows: OpenRows;
  readonly #decodeTensors = new DecodeTensors();
  /** Of the last step, what may still be accepted. */
  readonly #drafts = new Map<Row, ComputedDraft>();
  /** Tensors over parts of the delta tables, by the part: making a hundred of them takes longer than finding them. */
  readonly #tableFeeds = new Map<string, Feeds>();
  /** Tensors over parts of the cache, which are the same from one step to the next until a row needs another block. */
  readonly #windowFeeds = new WeakMap<BlockWindow, Feeds>();
  /** Memory of the last run's results. */
  #results: ArrayBuffer[] = [];
  #insideRunMs: Millis = 0;
  #released: Promise<void> | undefined;

  constructor(checkpoint: Checkpoint, sessions: StepSessions, { limits, clock }: RunnerOptions) {
    this.base = checkpoint.info;
    this.limits = limits;
    this.#sessions = sessions;
    this.#clock = clock ?? systemClock;
    this.#cache = new KvCache(this.base, limits.rowsMax, limits.kvTokensMax);
    this.#rows = new OpenRows(this.base, limits, this.#cache);
    this.#tables = new DeltaTables(this.base, limits.slotsMax, limits.tableRanksMax);
  }

  get insideRunMs(): Millis {
    return this.#insideRunMs;
  }

  get memory(): RunnerMemory {
    const { memoryBytes: cache, stagingBytes: workspace } = this.#cache;
    return { weights: this.#sessions.weightsBytes, cache, tables: this.#tables.memoryBytes, workspace };
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
    this.#drafts.clear();
    this.#freeResults();
    const logits: Float32Array[] = rows.map(() => new Float32Array(0));
    const batches = planBatches(rows, ({ row }) => this.#cache.length(row));
    for (const batch of batches.flatMap((batch) => this.#splitByDelta(batch, rows))) await this.#runBatch(batch, rows, logits);
    return logits;
  }

  acceptDraft(row: Row, count: Tokens): void {
    const draft = this.#drafts.get(row);
    assert(draft && count <= draft.count, `row ${row} had a draft of ${count} tokens in the last step`);
    this.#drafts.delete(row);
    this.#cache.append(row, draft.added, draft.from, count);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#released ??= releaseStepSessions(this.#sessions);
    await this.#released;
  }

  /** Prompts are long enough to run by themselves where their deltas lie too far apart to be bound together. */
  #splitByDelta(batch: StepBatch, rows: readonly StepRow[]): StepBatch[] {
    const slots = slotsOf(batch.indexes.map((index) => rows[index]!));
    if (batch.kind === "decode" || slots.size < 2 || this.#tables.isTogether(slots)) return [batch];
    const bySlot = Map.groupBy(batch.indexes, (index) => rows[index]!.slot);
    return [...bySlot.values()].map((indexes) => ({ ...batch, indexes }));
  }

  async #runBatch(step: StepBatch, rows: readonly StepRow[], logits: Float32Array[]): Promise<void> {
    const { kind, span } = step;
    const slots = slotsOf(step.indexes.map((index) => rows[index]!));
    const deltas = slots.size > 0 ? this.#tables.bind(slots, kind === "decode") : undefined;
    const evenIndexes = deltas && this.#evenIndexes(step.indexes, rows, deltas);
    const indexes = evenIndexes ?? step.indexes;
    const stepRows = indexes.map((index) => rows[index]!);
    const batch: BatchRow[] = stepRows.map(({ row, tokens, slot, logits }) => ({ tokens, slot, logits, past: this.#cache.length(row) }));
    const blocks = this.#bindBlocks(kind, stepRows);
    const bound: BoundBatch = { rows: batch, span, blocks, deltas, isEven: evenIndexes !== undefined };
    const feeds = kind === "decode" ? this.#decodeTensors.of(bound, () => this.#feeds(bound)) : this.#feeds(bound);
    const outputs = await this.#runSession(this.#sessionFor(bound), feeds);
    for (const [index, step] of stepRows.entries()) this.#append(step, { data: outputs.newKeyValues, row: index, span });
    let from = 0;
    for (const [index, { logits: wanted, tokens }] of stepRows.entries()) {
      const count = wanted === "all" ? tokens.length : wanted === "none" ? 0 : 1;
      logits[indexes[index]!] = outputs.logits.subarray(from, from + count * this.base.vocabularySize);
      from += count * this.base.vocabularySize;
    }
  }

  /** The rows in the order that makes their step an even one, if there are such an order and a session for it. */
  #evenIndexes(indexes: readonly number[], rows: readonly StepRow[], deltas: BoundDeltas): readonly number[] | undefined {
    if (!this.#sessions.evenDeltas) return undefined;
    const order = evenOrder(
      indexes.map((index) => rows[index]!.slot),
      deltas,
    );
    return order?.map((place) => indexes[place]!);
  }

  #sessionFor({ deltas, isEven }: BoundBatch): InferenceSession {
    const { withDeltas, withoutDeltas, evenDeltas } = this.#sessions;
    if (!deltas) return withoutDeltas;
    return isEven ? evenDeltas! : withDeltas;
  }

  #feeds({ rows, span, blocks, deltas, isEven }: BoundBatch): Feeds {
    const { withDeltas, withoutDeltas } = this.#sessions;
    const feeds: Feeds = {
      ...tokenFeeds(rows, span),
      ...attentionFeeds(this.base, rows, span, blocks),
      ...this.#cacheFeeds(blocks.window),
    };
    if (deltas && isEven) return Object.assign(feeds, evenDeltaFeeds(deltas), this.#boundTables(deltas));
    if (deltas || withDeltas === withoutDeltas) Object.assign(feeds, deltaFeeds(rows, span, deltas), this.#boundTables(deltas));
    return feeds;
  }

  /** What a draft has computed stays outside of the cache until it is accepted: nothing wrong ever gets in, and nothing has to come out. */
  #append({ row, tokens, draftTokens = 0 }: StepRow, added: NewKeyValues): void {
    const from = tokens.length - draftTokens;
    this.#cache.append(row, added, 0, from);
    if (draftTokens > 0) this.#drafts.set(row, { added, from, count: draftTokens });
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

  #cacheFeeds(window: BlockWindow): Feeds {
    const known = this.#windowFeeds.get(window);
    if (known) return known;
    const feeds = cacheFeeds(this.base, window);
    this.#windowFeeds.set(window, feeds);
    return feeds;
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

  /**
   * The binding gives results in new memory, half a megabyte for sixteen rows. Left to the collector, that of some dozens of steps is written
   * before any is used again, which drives weights out of the processor's caches.
   */
  #freeResults(): void {
    for (const buffer of this.#results) buffer.transfer(0);
    this.#results = [];
  }

  async #runSession(
    session: InferenceSession,
    feeds: Feeds,
  ): Promise<{ readonly logits: Float32Array; readonly newKeyValues: Float32Array }> {
    const startMs = this.#clock.monotonic();
    const outputs = await session.run(feeds);
    this.#insideRunMs += this.#clock.monotonic() - startMs;
    const valuesOf = (name: string) => {
      const values = outputs[name]!.data as Float32Array<ArrayBuffer>;
      this.#results.push(values.buffer);
      return values;
    };
    return { logits: valuesOf(DECODER_VALUES.logits), newKeyValues: valuesOf(DECODER_VALUES.newKeyValues) };
  }
}

/** A few per combination that recurs; cheap to make again. */
const TABLE_FEEDS_MAX = 64;

function slotsOf(rows: readonly StepRow[]): ReadonlySet<Slot> {
  return new Set(rows.flatMap(({ slot }) => (slot === undefined ? [] : [slot])));
}
