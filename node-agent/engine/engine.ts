import {
  assert,
  type Clock,
  counterDifferenceMax,
  Fault,
  isFault,
  type Millis,
  type TenantId,
  TURN_SPARE,
  VirtualTokenCounter,
} from "#kernel";
import type { BaseInfo, LoadedDelta } from "#model";
import type { Engine, EngineLoad, SequenceEvent, SequenceSpec, Slot } from "./contract.ts";
import { EngineLoss } from "./engine-loss.ts";
import { type EngineOptions, engineOptions } from "./engine-options.ts";
import { chooseNext, chooseToPark, planStep, type Service, type Share } from "./planner.ts";
import { PrefixCache } from "./prefix/index.ts";
import type { RowLogits, Runner } from "./runner/contract.ts";
import { isTop } from "./runner/step-logits.ts";
import { createSamplers, type Samplers } from "./sampling/index.ts";
import { Sequence } from "./sequence.ts";
import { completionTokensMax } from "./sequence-check.ts";
import { SlotReferences } from "./slot-references.ts";
import { Speculation } from "./speculation/index.ts";

export interface EngineDeps {
  readonly clock: Clock;
  /** Lets everything else in the process have its turn, messages from outside included; called between two steps. */
  readonly yieldTurn: () => Promise<void>;
}

/** An engine over `runner`, which it owns from now on and closes at its end. */
export function openEngine(runner: Runner, deps: EngineDeps, options: Partial<EngineOptions> = {}): Engine {
  const engine = new BatchingEngine(runner, deps, engineOptions(runner.base, options));
  engine.start();
  return engine;
}

/** Work for the runner that is done between two steps. */
interface Duty {
  readonly kind: "attach" | "detach";
  /** Its next part; false when another follows, with a step in between. */
  readonly perform: () => Promise<boolean>;
  readonly refuse: (error: unknown) => void;
}

/**
 * Continuous batching: plan, run, apply, and between two steps whatever else touches the runner. One loop does all of
 * it, so the runner is never entered twice; everyone else only changes lists that the loop looks at in its next turn.
 */
class BatchingEngine implements Engine {
  readonly base: BaseInfo;
  readonly lost: Promise<EngineLoss>;
  readonly #runner: Runner;
  readonly #deps: EngineDeps;
  readonly #options: EngineOptions;
  readonly #samplers: Samplers;
  readonly #slots = new SlotReferences();
  readonly #prefixes: PrefixCache;
  readonly #speculation: Speculation;
  /** Who gets a row next. */
  readonly #turns = new VirtualTokenCounter<TenantId>({ spare: TURN_SPARE });
  readonly #service: Service;
  /** In order of arrival, but that whoever was parked is before those who never had a row. */
  #waiting = new Set<Sequence>();
  /** Those that lost their row because nobody read them, and are still not read; as many as may wait, since each may come back. */
  readonly #unread = new Set<Sequence>();
  /** In order of admission. */
  readonly #running = new Set<Sequence>();
  readonly #ids = new Set<string>();
  /** Sequences that have ended; their rows are closed in the next turn, because now the runner may be at work. */
  readonly #toClose: Sequence[] = [];
  readonly #duties: Duty[] = [];
  #kvTokensUsed = 0;
  #steps = 0;
  #insideRunMs: Millis = 0;
  #outsideRunMs: Millis = 0;
  #promptTokens = 0;
  /** How often a sequence had to give up its row. */
  #parkings = 0;
  #completionTokens = 0;
  /** Why nothing new is taken: set once, by dispose or by a runner that failed. */
  #closed: Fault | undefined;
  #declareLost!: (reason: EngineLoss) => void;
  #loop: Promise<void> = Promise.resolve();
  /** Something has changed since the loop last looked. */
  #changed = false;
  #wake: (() => void) | undefined;

  constructor(runner: Runner, deps: EngineDeps, options: EngineOptions) {
    this.base = runner.base;
    this.#runner = runner;
    this.#deps = deps;
    this.#options = options;
    this.#prefixes = new PrefixCache(runner, Math.floor(options.prefixShare * runner.limits.kvTokensMax));
    this.#speculation = new Speculation(runner, options);
    this.#samplers = createSamplers(runner.base.vocabularySize);
    const differenceMax = counterDifferenceMax(runner.base.contextTokensMax, runner.limits.kvTokensMax);
    this.#service = { of: (tenantId) => this.#turns.counterOf(tenantId) ?? 0, differenceMax };
    this.lost = new Promise((resolve) => {
      this.#declareLost = resolve;
    });
  }

  start(): void {
    this.#loop = this.#run();
  }

  attach(delta: LoadedDelta): Promise<Slot> {
    const attachesWaiting = this.#duties.reduce((count, duty) => count + (duty.kind === "attach" ? 1 : 0), 0);
    if (attachesWaiting >= this.#options.attachesWaitingMax) return Promise.reject(noRoom("too many deltas wait to be attached"));
    return this.#enqueue("attach", this.#attachInParts(delta));
  }

  async detach(slot: Slot): Promise<void> {
    if (this.#closed) return; // The slots went with the runner.
    const life = this.#slots.lifeOf(slot);
    this.#slots.detach(slot);
    const atOnce = async (): Promise<IteratorResult<undefined, void>> => {
      this.#prefixes.forgetLife(life!);
      this.#runner.detach(slot);
      return { done: true, value: undefined };
    };
    await this.#enqueue("detach", { next: atOnce });
  }

  async *generate(spec: SequenceSpec, signal: AbortSignal): AsyncGenerator<SequenceEvent> {
    signal.throwIfAborted();
    const sequence = this.#accept(spec);
    const abort = () => this.#end(sequence, { error: signal.reason });
    signal.addEventListener("abort", abort, { once: true });
    try {
      for await (const event of sequence.events) {
        signal.throwIfAborted(); // Not what was queued before: who aborts is not interested.
        yield event;
        if (sequence.events.depth === this.#options.undeliveredEventsMax - 1) this.#touch(); // It was paused until now.
      }
    } finally {
      signal.removeEventListener("abort", abort);
      this.#end(sequence);
    }
  }

  load(): EngineLoad {
    const { limits } = this.#runner;
    const slots = new Set<Slot>();
    for (const { spec } of this.#running) if (spec.slot !== undefined) slots.add(spec.slot);
    return {
      rowsRunning: this.#running.size,
      rowsMax: limits.rowsMax,
      queueDepth: this.#waiting.size,
      parkings: this.#parkings,
      queueDepthMax: this.#options.queueDepthMax,
      slotsUsed: this.#slots.attached,
      slotsMax: limits.slotsMax,
      kvTokensUsed: this.#kvTokensUsed,
      kvTokensMax: limits.kvTokensMax,
      deltasRunning: slots.size,
      steps: this.#steps,
      insideRunMs: this.#insideRunMs,
      outsideRunMs: this.#outsideRunMs,
      promptTokens: this.#promptTokens,
      completionTokens: this.#completionTokens,
      prefixes: this.#prefixes.load,
      speculation: this.#speculation.load,
      memory: this.#runner.memory,
      bus: this.#runner.bus,
    };
  }

  /** Ends what still runs with Fault shutting_down, lets the current step finish, and closes the runner. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#close(new Fault("shutting_down", "the engine is stopping"));
    await this.#loop;
    await this.#runner[Symbol.asyncDispose](); // Not by itself after a failure: releasing what a lost device holds may never return.
  }

  #accept(spec: SequenceSpec): Sequence {
    if (this.#closed) throw this.#closed;
    assert(!this.#ids.has(spec.id), `sequence ${spec.id} exists already`);
    if (this.#waiting.size >= this.#options.queueDepthMax) throw new Fault("queue_full", `${this.#waiting.size} sequences wait already`);
    const completionMax = completionTokensMax(spec, this.base, this.#runner.limits.kvTokensMax);
    this.#slots.use(spec.slot);
    const sequence = new Sequence(spec, this.#slots.lifeOf(spec.slot)!, completionMax, this.#options);
    this.#ids.add(spec.id);
    this.#waiting.add(sequence);
    this.#turns.arrived(sequence.tenantId);
    this.#touch();
    return sequence;
  }

  /** Takes the sequence out, wherever it is; its row follows in the next turn. With a failure, its consumer is told so. Idempotent. */
  #end(sequence: Sequence, failure?: { readonly error: unknown }): void {
    if (sequence.ended) return;
    sequence.ended = true;
    if (failure) sequence.events.fail(failure.error);
    else sequence.events.finish();
    if (this.#waiting.delete(sequence)) this.#turns.withdrawn(sequence.tenantId);
    if (this.#running.delete(sequence)) this.#turns.ended(sequence.tenantId);
    this.#unread.delete(sequence);
    this.#ids.delete(sequence.spec.id);
    this.#slots.release(sequence.spec.slot);
    if (sequence.row !== undefined) this.#toClose.push(sequence);
    this.#touch();
  }

  async *#attachInParts(delta: LoadedDelta): AsyncGenerator<undefined, Slot> {
    const slot = this.#runner.attach(delta);
    if (slot === undefined) throw noRoom(`no slot or table rows are free for a delta of rank ${delta.rank}`);
    try {
      while (!(await this.#runner.fill(slot))) yield;
    } catch (error) {
      this.#runner.detach(slot);
      throw error;
    }
    this.#slots.attach(slot);
    return slot;
  }

  #enqueue<T>(kind: Duty["kind"], parts: AsyncIterator<undefined, T>): Promise<T> {
    if (this.#closed) return Promise.reject(this.#closed);
    return new Promise((resolve, refuse) => {
      const perform = async () => {
        try {
          const { done, value } = await parts.next();
          if (done) resolve(value);
          return done === true;
        } catch (error) {
          refuse(error);
          return true;
        }
      };
      this.#duties.push({ kind, perform, refuse });
      this.#touch();
    });
  }

  #close(reason: Fault): void {
    if (this.#closed) return;
    this.#closed = reason;
    for (const sequence of [...this.#waiting, ...this.#unread, ...this.#running]) this.#end(sequence, { error: reason });
    for (const duty of this.#duties.splice(0)) duty.refuse(reason);
    this.#touch();
  }

  async #run(): Promise<void> {
    try {
      while (!this.#closed) {
        if (await this.#turn()) continue;
        await this.#untilTouched();
        await this.#deps.yieldTurn(); // Requests that arrive together start together.
      }
    } catch (error) {
      const reason = error instanceof Error ? error : new Error(String(error));
      this.#close(new Fault("engine_lost", `the engine can't go on: ${reason.message}`, { cause: reason }));
      this.#declareLost(new EngineLoss("failed", reason.message));
    }
  }

  /** One step, and what is due before it. False when there was nothing to run. */
  async #turn(): Promise<boolean> {
    const startedAt = this.#deps.clock.monotonic();
    const insideBefore = this.#runner.insideRunMs;
    this.#changed = false;
    this.#catchUp(); // With what those have computed that lose their rows now.
    for (const sequence of this.#toClose.splice(0)) this.#closeRow(sequence);
    await this.#performDuties();
    this.#admit();
    this.#catchUp();
    const plan = planStep([...this.#running], this.#options, this.#service);
    if (plan.length === 0) return this.#duties.length > 0;
    const planned = new Set(plan.map(({ sequence }) => sequence));
    for (const sequence of this.#running) sequence.stepsPassedOver = planned.has(sequence) ? 0 : sequence.stepsPassedOver + 1;
    this.#speculation.plan(plan.map(({ sequence }) => sequence));
    const rows = plan.map(({ sequence, tokenCount }) => sequence.stepRow(tokenCount, this.#speculation.draftOf(sequence)));
    const logits = await this.#runner.run(rows);
    for (const [index, share] of plan.entries()) await this.#apply(share, logits[index]!);
    await this.#deps.yieldTurn();
    const insideMs = this.#runner.insideRunMs - insideBefore;
    this.#steps++;
    this.#insideRunMs += insideMs;
    this.#outsideRunMs += this.#deps.clock.monotonic() - startedAt - insideMs;
    return true;
  }

  /** What one row has computed, others that begin alike need not; nor is it their tenant's to account for. */
  #catchUp(): void {
    for (const sequence of this.#running) {
      const spared = this.#prefixes.catchUp(sequence, [...this.#running, ...this.#toClose]);
      if (!sequence.resumed) this.#turns.corrected(sequence.tenantId, -spared);
    }
  }

  #closeRow(sequence: Sequence): void {
    assert(sequence.row !== undefined, `sequence ${sequence.spec.id} has a row`);
    this.#keepPrefix(sequence);
    this.#runner.close(sequence.row);
    this.#kvTokensUsed -= sequence.reservedTokens;
  }

  /** What it has computed is there for those that begin alike, unless its delta has left meanwhile. */
  #keepPrefix(sequence: Sequence): void {
    const text = sequence.soundText;
    if (text && this.#slots.lifeOf(sequence.spec.slot) === text.owner.life) this.#prefixes.keep(sequence.row!, text);
  }

  /** In order of arrival; but at most one part of one attach in a turn, so that running rows wait for one copy and not for many. */
  async #performDuties(): Promise<void> {
    for (let duty = this.#duties[0]; duty; duty = this.#duties[0]) {
      if (await duty.perform()) this.#duties.shift(); // Whoever closed the engine meanwhile has emptied the list.
      if (duty.kind === "attach" && this.#running.size + this.#waiting.size > 0) return;
    }
  }

  #admit(): void {
    const { rowsMax, kvTokensMax } = this.#runner.limits;
    for (const sequence of this.#unread) if (!sequence.paused) this.#waitAgain(sequence);
    for (;;) {
      const room = { rows: rowsMax - this.#running.size, kvTokens: kvTokensMax - this.#kvTokensUsed };
      const turn = this.#turns.next();
      const sequence = chooseNext(this.#waiting, turn, room);
      if (!sequence) {
        const parked = chooseToPark(this.#running, this.#waiting, turn, room, rowsMax);
        if (!parked || (parked.paused && this.#unread.size >= this.#options.queueDepthMax)) return;
        this.#park(parked);
        continue;
      }
      if (!this.#prefixes.open(sequence)) {
        // The runner reserves in larger units than we count. It finds room when others end; alone, it never will.
        if (this.#running.size === 0) this.#end(sequence, { error: noRoom(`no cache for ${sequence.reservedTokens} tokens`) });
        return;
      }
      this.#kvTokensUsed += sequence.reservedTokens;
      this.#waiting.delete(sequence);
      this.#running.add(sequence);
      // What is computed again for others' sake is not its tenant's to account for, and what is not computed is nobody's.
      this.#turns.started(sequence.tenantId, sequence.resumed ? 0 : sequence.pendingTokens);
    }
  }

  /** Takes its row from a sequence; it goes on when it is read again and a row is free. */
  #park(sequence: Sequence): void {
    this.#closeRow(sequence);
    this.#running.delete(sequence);
    this.#turns.ended(sequence.tenantId);
    const { paused } = sequence;
    sequence.park();
    this.#parkings++;
    if (paused) this.#unread.add(sequence);
    else this.#waitAgain(sequence);
  }

  #waitAgain(sequence: Sequence): void {
    this.#unread.delete(sequence);
    this.#waiting = new Set([sequence, ...this.#waiting]);
    this.#turns.arrived(sequence.tenantId);
  }

  /** A text that can't go on ends alone; its neighbours are not its problem. */
  async #apply({ sequence, tokenCount }: Share<Sequence>, logits: RowLogits): Promise<void> {
    const { phase } = sequence;
    if (phase === "prefilling" && !sequence.resumed) this.#promptTokens += tokenCount;
    if (sequence.ended) return sequence.leave(tokenCount); // Cancelled while the step ran.
    try {
      const decided = sequence.apply(tokenCount, logits, this.#samplers);
      const all = !decided && isTop(logits) ? await logits.dense() : undefined;
      if (sequence.ended) return; // Cancelled while all logits came from the device.
      const progress = all ? sequence.apply(tokenCount, all, this.#samplers) : decided;
      assert(progress, "all logits tell the next token");
      this.#speculation.settle(sequence, progress.acceptedTokens);
      this.#completionTokens += progress.newTokens;
      this.#turns.produced(sequence.tenantId, progress.newTokens);
      if (progress.finished) this.#end(sequence);
      else if (phase === "prefilling" && sequence.phase === "decoding") this.#keepPrefix(sequence);
    } catch (error) {
      if (!isFault(error)) throw error;
      this.#end(sequence, { error });
    }
  }

  #touch(): void {
    this.#changed = true;
    this.#wake?.();
  }

  async #untilTouched(): Promise<void> {
    if (this.#changed || this.#closed) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }
}

function noRoom(message: string): Fault {
  return new Fault("capacity_exhausted", message);
}
