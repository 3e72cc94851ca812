import { assert, type Clock, CreditGate, faultMessage, type Millis, unreachable } from "#kernel";
import type { Engine, SequenceSpec, Slot } from "../contract.ts";
import { openEngine } from "../engine.ts";
import type { Runner } from "../runner/contract.ts";
import type { HandedDelta, TakenDelta } from "./hand-over-file.ts";
import { NewsOutbox } from "./news-outbox.ts";
import { type EngineStart, type FromEngine, STREAM_WINDOW_EVENTS, type StreamNews, type ToEngine } from "./process-messages.ts";

/** What the child's side is given by its shell. */
export interface ServeDeps {
  readonly clock: Clock;
  readonly send: (message: FromEngine) => void;
  /** Lets messages come in; resolves in the next turn of the event loop. */
  readonly nextTurn: () => Promise<void>;
  readonly openRunner: (start: EngineStart) => Promise<Runner>;
  /** A delta that the parent has put into the file. */
  readonly takeHanded: (delta: HandedDelta) => Promise<TakenDelta>;
}

/**
 * Messages may come in after every step, but not more often than this: a turn of the event loop takes a fortieth of the shortest steps,
 * of which a cancelled row then computes one more.
 */
const RECEIVE_MS_MIN: Millis = 2;

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
  #engine: Engine | undefined;
  /** When messages could come in last. */
  #receivedMs: Millis = Number.NEGATIVE_INFINITY;

  constructor(deps: ServeDeps) {
    this.#deps = deps;
    const send = (streams: readonly StreamNews[]) => {
      if (this.#engine) deps.send({ kind: "news", streams, load: this.#engine.load() });
    };
    this.#outbox = new NewsOutbox({ clock: deps.clock, nextTurn: deps.nextTurn, send });
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
        this.#answer(message.call, this.#attach(message.delta));
        return;
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
    const { clock, nextTurn } = this.#deps;
    this.#outbox.schedule(); // A step without tokens has changed the load as well.
    if (clock.monotonic() - this.#receivedMs >= RECEIVE_MS_MIN) {
      await nextTurn();
      this.#receivedMs = clock.monotonic();
    }
    this.#outbox.flushDue();
  }

  async #attach(handed: HandedDelta): Promise<Slot> {
    using taken = await this.#deps.takeHanded(handed);
    return await this.#running.attach(taken.delta);
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
    let first = true;
    try {
      for await (const event of this.#running.generate(spec, abort.signal)) {
        this.#outbox.event(stream, event, first);
        first = false;
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
