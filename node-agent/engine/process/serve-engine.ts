import { assert, type Clock, CreditGate, faultMessage, type Millis, unreachable } from "#kernel";
import type { Engine, SequenceSpec, Slot } from "../contract.ts";
import { openEngine } from "../engine.ts";
import type { Runner } from "../runner/contract.ts";
import { DeltaAssembly } from "./delta-parts.ts";
import { NewsOutbox } from "./news-outbox.ts";
import { type EngineStart, type FromEngine, STREAM_WINDOW_EVENTS, type ToEngine } from "./process-messages.ts";

/** What the child's side is given by its shell. */
export interface ServeDeps {
  readonly clock: Clock;
  readonly send: (message: FromEngine) => void;
  /** Lets messages come in; resolves in the next turn of the event loop. */
  readonly nextTurn: () => Promise<void>;
  readonly openRunner: (start: EngineStart) => Promise<Runner>;
}

/**
 * How long a step may be put off to read a delta that is arriving. A pipe holds little, so a delta would otherwise come
 * in a few hundred kilobytes per step. Measured on 32 M parameters, 50 deltas in a row: with twice as long the other rows'
 * 99th percentile between tokens grows by 1.7 instead of 1.4, and no delta is there noticeably sooner.
 */
const RECEIVE_MS_MAX: Millis = 1.5;

/** One generate in progress. */
interface Stream {
  readonly abort: AbortController;
  readonly credit: CreditGate;
}

/** The child's side of the engine process: messages in, messages out. Its shell owns the process and the channel. */
export class EngineServer implements AsyncDisposable {
  readonly #deps: ServeDeps;
  readonly #outbox: NewsOutbox;
  readonly #streams = new Map<number, Stream>();
  readonly #assembly = new DeltaAssembly();
  #engine: Engine | undefined;

  constructor(deps: ServeDeps) {
    this.#deps = deps;
    this.#outbox = new NewsOutbox((streams) => {
      if (this.#engine) deps.send({ kind: "news", streams, load: this.#engine.load() });
    }, deps.nextTurn);
  }

  /** Opens the engine and says `ready`. Throws what opening the runner throws; then there is no engine. */
  async start(start: EngineStart): Promise<Engine> {
    const runner = await this.#deps.openRunner(start);
    this.#engine = openEngine(runner, { clock: this.#deps.clock, yieldTurn: () => this.#yieldTurn() }, start.engine);
    this.#deps.send({ kind: "ready", base: this.#engine.base, load: this.#engine.load() });
    return this.#engine;
  }

  /** Any message but `start` and `stop`, which are the shell's. */
  receive(message: Exclude<ToEngine, { kind: "start" | "stop" }>): void {
    switch (message.kind) {
      case "attach":
        this.#assembly.announce(message);
        return;
      case "layers": {
        const delta = this.#assembly.add(message);
        if (delta) this.#answer(message.call, this.#running.attach(delta));
        return;
      }
      case "detach":
        this.#answer(
          message.call,
          this.#running.detach(message.slot).then(() => undefined),
        );
        return;
      case "generate":
        void this.#generate(message.stream, message.spec);
        return;
      case "credit":
        this.#streams.get(message.stream)?.credit.give(message.events);
        return;
      case "cancel":
        this.#streams.get(message.stream)?.abort.abort();
        this.#outbox.schedule(); // The load has changed, perhaps without another step.
        return;
      case "ask":
        this.#outbox.schedule();
        return;
      default:
        unreachable(message);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine?.[Symbol.asyncDispose]();
    this.#outbox.flush();
  }

  get #running(): Engine {
    assert(this.#engine, "a message arrived before the engine was ready");
    return this.#engine;
  }

  async #yieldTurn(): Promise<void> {
    const until = this.#deps.clock.monotonic() + RECEIVE_MS_MAX;
    this.#outbox.schedule(); // A step without tokens has changed the load as well.
    await this.#deps.nextTurn();
    this.#outbox.flush(); // Before the next step, which holds the loop for its whole length.
    while (this.#assembly.arriving > 0 && this.#deps.clock.monotonic() < until) await this.#deps.nextTurn();
  }

  #answer(call: number, work: Promise<Slot | undefined>): void {
    work.then(
      (slot) => this.#deps.send({ kind: "reply", call, slot, load: this.#running.load() }),
      (error: unknown) => this.#deps.send({ kind: "refusal", call, fault: faultMessage(error) }),
    );
  }

  /** Passes a sequence's events on for as long as there is credit; without, they stay in the engine, and its row pauses. */
  async #generate(stream: number, spec: SequenceSpec): Promise<void> {
    const abort = new AbortController();
    const credit = new CreditGate(STREAM_WINDOW_EVENTS, abort.signal);
    this.#streams.set(stream, { abort, credit });
    try {
      for await (const event of this.#running.generate(spec, abort.signal)) {
        this.#outbox.event(stream, event);
        await credit.take();
      }
      this.#outbox.end(stream, undefined);
    } catch (error) {
      if (!abort.signal.aborted) this.#outbox.end(stream, faultMessage(error)); // Who cancels wants no answer.
    } finally {
      this.#streams.delete(stream);
    }
  }
}
