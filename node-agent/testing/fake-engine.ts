import { Fault } from "#kernel";
import type { BaseInfo, LoadedDelta } from "#model";
import {
  type Engine,
  type EngineLoad,
  EngineLoss,
  type LossKind,
  type SequenceEvent,
  type SequenceSpec,
  type Slot,
  type TokenLogprob,
} from "../engine/index.ts";

/** The token after `context`, by arithmetic; never one of the first two, which are special in the golden bases. */
function fakeNext(context: readonly number[], vocabularySize: number, shift = 0): number {
  const sum = context.reduce((total, token, index) => total + token * (index + 3), shift * 17);
  return 2 + (sum % (vocabularySize - 2));
}

/** An engine in this process whose texts can be computed by hand; tests can crash it and count what it did. */
export class FakeEngine implements Engine {
  readonly base: BaseInfo;
  readonly lost: Promise<EngineLoss>;
  readonly attached = new Map<Slot, LoadedDelta>();
  readonly slotsMax: number;
  /** Tokens that were computed, whether or not someone read them. */
  computed = 0;
  running = 0;
  /** Sequences that were given up. */
  aborts = 0;
  /** While set, sequences stand still. */
  hold: Promise<void> | undefined;
  /** Sequences stand still for ever before their token of this number. */
  holdAt = Number.POSITIVE_INFINITY;
  /** Scripted tokens instead of arithmetic. */
  script: readonly number[] | undefined;
  /** Of every prompt, what is said to have been kept from earlier texts. */
  reused = 0;
  #slots = 0;
  #lose!: (reason: EngineLoss) => void;
  #gone = new AbortController();

  constructor(base: BaseInfo, slotsMax = 4) {
    this.base = base;
    this.slotsMax = slotsMax;
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
  }

  crash(kind: LossKind = "ended"): void {
    this.#gone.abort(new Fault("engine_lost", "crashed"));
    this.#lose(new EngineLoss(kind, "crashed"));
  }

  async attach(delta: LoadedDelta): Promise<Slot> {
    this.#gone.signal.throwIfAborted();
    if (this.attached.size >= this.slotsMax) throw new Fault("capacity_exhausted", "no slot is free");
    const slot: Slot = ++this.#slots;
    this.attached.set(slot, delta);
    return slot;
  }

  async detach(slot: Slot): Promise<void> {
    this.attached.delete(slot);
  }

  async *generate(spec: SequenceSpec, signal: AbortSignal): AsyncGenerator<SequenceEvent> {
    const either = AbortSignal.any([signal, this.#gone.signal]);
    either.throwIfAborted();
    this.running += 1;
    signal.addEventListener("abort", () => {
      this.aborts += 1;
    });
    try {
      if (spec.promptLogprobs)
        yield { kind: "prompt", logprobs: spec.promptTokens.map((id, index) => (index === 0 ? undefined : logprobOf(id))) };
      if (this.reused > 0) yield { kind: "reused", promptTokens: this.reused };
      if (spec.maxTokens > 0) yield* this.#tokens(spec, either);
    } finally {
      this.running -= 1;
    }
  }

  load(): EngineLoad {
    return {
      rowsRunning: this.running,
      rowsMax: 8,
      queueDepth: 0,
      queueDepthMax: 8,
      slotsUsed: this.attached.size,
      slotsMax: this.slotsMax,
      kvTokensUsed: 0,
      kvTokensMax: 1000,
      parkings: 0,
      deltasRunning: 0,
      steps: this.computed,
      insideRunMs: 0,
      outsideRunMs: 0,
      promptTokens: 0,
      completionTokens: this.computed,
      prefixes: { queriedTokens: 900, hitTokens: 640, keptTokens: 320, keptBytes: 5120, evictions: 2 },
      speculation: { draftedTokens: 120, acceptedTokens: 90 },
      memory: { weights: 4096, cache: 1024, tables: 512, workspace: 256 },
      bus: { upBytes: 64, downBytes: 32 },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#gone.abort(new Fault("shutting_down", "stopping"));
  }

  async *#tokens(spec: SequenceSpec, signal: AbortSignal): AsyncGenerator<SequenceEvent> {
    const context = [...spec.promptTokens, ...spec.emittedTokens];
    const shift = spec.slot === undefined ? 0 : this.attached.get(spec.slot)!.layers[0]!.rank;
    for (let count = spec.emittedTokens.length + 1; ; count++) {
      await this.#step(count, signal);
      this.computed += 1;
      const seed = spec.sampling.temperature === 0 ? 0 : Number(spec.sampling.seed % 1009n);
      const tokenId = this.script?.[count - 1] ?? fakeNext(context, this.base.vocabularySize, shift + seed);
      context.push(tokenId);
      const finish = spec.stopTokenIds.has(tokenId) ? "stop" : count >= spec.maxTokens ? "length" : undefined;
      const logprob = spec.sampling.topLogprobs === undefined ? undefined : logprobOf(tokenId, spec.sampling.topLogprobs);
      yield { kind: "token", tokenId, logprob, finish };
      if (finish) return;
    }
  }

  async #step(count: number, signal: AbortSignal): Promise<void> {
    await Promise.resolve();
    const hold = count >= this.holdAt ? new Promise<void>(() => undefined) : this.hold;
    if (hold) {
      const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      await Promise.race([hold, aborted]);
    }
    signal.throwIfAborted();
  }
}

function logprobOf(tokenId: number, top = 0): TokenLogprob {
  return {
    tokenId,
    logprob: -tokenId / 100,
    top: Array.from({ length: top }, (_, index) => ({ tokenId: index + 2, logprob: -1 - index })),
  };
}
