import { type Clock, Fault, faultFrom, type Millis, SECOND } from "#kernel";
import type { BaseInfo, LoadedDelta } from "#model";
import type { Engine, EngineLoad, SequenceEvent, SequenceSpec, Slot } from "../contract.ts";
import { EngineLoss } from "../engine-loss.ts";
import { SlotReferences } from "../slot-references.ts";
import { ENGINE_PROGRAM, type EngineChannel, forkEngine } from "./engine-process.ts";
import { type HandOverFile, openHandOverFile } from "./hand-over-file.ts";
import { ParentStream } from "./parent-stream.ts";
import type { EngineStart, FromEngine } from "./process-messages.ts";

export interface EngineProcessDeps {
  readonly clock: Clock;
  /** The program of the child: one that calls `serveInThisProcess`. By default the one beside this file. */
  readonly entry?: URL;
}

export interface EngineProcessOptions extends EngineStart {
  /** Reading and optimising the base; after that the child is taken to hang. */
  readonly startMsMax?: Millis;
  /** From being told to stop to being killed. A step that runs is always shorter. */
  readonly stopMsMax?: Millis;
  /** So long without an answer, twice in a row, and the child is taken to hang. */
  readonly silenceMsMax?: Millis;
}

/** A base of some gigabytes from a slow disk. */
const START_MS_MAX: Millis = 120 * SECOND;
const STOP_MS_MAX: Millis = 10 * SECOND;
/** Longer than any step, also the first on a device, which compiles its kernels. */
const SILENCE_MS_MAX: Millis = 60 * SECOND;

/**
 * Starts an engine in a process of its own, so that neither its steps nor a crash of its runtime reach this one.
 * Throws the Fault with which the base could not be opened, or engine_lost when the process ended before it was ready.
 */
export async function startEngineProcess(deps: EngineProcessDeps, options: EngineProcessOptions): Promise<Engine> {
  const { startMsMax = START_MS_MAX, stopMsMax = STOP_MS_MAX, silenceMsMax = SILENCE_MS_MAX, ...start } = options;
  const starting = Promise.withResolvers<Extract<FromEngine, { kind: "ready" }>>();
  const early = (message: FromEngine) => {
    if (message.kind === "ready") starting.resolve(message);
    else if (message.kind === "failed") starting.reject(faultFrom(message.fault));
  };
  let receive = early;
  const timer = new AbortController();
  deps.clock.after(startMsMax, timer.signal).then(
    () => starting.reject(lostFault(new Error(`the engine's process was not ready after ${startMsMax} ms`))),
    () => undefined, // Ready in time.
  );
  starting.promise.catch(() => undefined); // Awaited below, perhaps after it has come to that.
  const handOver = await openHandOverFile().catch((error: unknown) => {
    timer.abort();
    throw error;
  });
  const channel = forkEngine(deps.entry ?? ENGINE_PROGRAM, start.name, handOver.descriptor, (message) => receive(message));
  void channel.ended.then(() => handOver[Symbol.asyncDispose]());
  channel.ended.then((reason) => starting.reject(lostFault(reason)));
  void channel.send({ kind: "start", start });
  try {
    const ready = await starting.promise;
    const running = new ProcessEngine(channel, handOver, deps.clock, ready.base, ready.load, stopMsMax);
    receive = (message) => running.receive(message);
    void running.watch(silenceMsMax);
    return running;
  } catch (error) {
    channel.kill();
    await channel.ended;
    throw error;
  } finally {
    timer.abort();
  }
}

function lostFault(reason: Error): Fault {
  return new Fault("engine_lost", reason.message, { cause: reason });
}

/** The parent's side: an {@link Engine} whose work is done by the child at the other end of `channel`. */
class ProcessEngine implements Engine {
  readonly base: BaseInfo;
  readonly lost: Promise<EngineLoss>;
  readonly #channel: EngineChannel;
  readonly #handOver: HandOverFile;
  readonly #clock: Clock;
  readonly #stopMsMax: Millis;
  readonly #slots = new SlotReferences();
  readonly #calls = new Map<number, PromiseWithResolvers<Slot | undefined>>();
  readonly #streams = new Map<number, ParentStream>();
  #numbers = 0;
  #load: EngineLoad;
  /** Why nothing is taken any more. */
  #closed: Fault | undefined;
  /** What the child said before it ended. */
  #lastWord: EngineLoss | undefined;
  /** Whether the child has said anything since it was last asked. */
  #heard = false;
  readonly #watching = new AbortController();
  #declareLost!: (reason: EngineLoss) => void;
  #stopping: Promise<void> | undefined;

  constructor(channel: EngineChannel, handOver: HandOverFile, clock: Clock, base: BaseInfo, load: EngineLoad, stopMsMax: Millis) {
    this.base = base;
    this.#channel = channel;
    this.#handOver = handOver;
    this.#clock = clock;
    this.#load = load;
    this.#stopMsMax = stopMsMax;
    this.lost = new Promise((resolve) => {
      this.#declareLost = resolve;
    });
    channel.ended.then((exit) => this.#ended(this.#lastWord ?? new EngineLoss("ended", exit.message)));
  }

  async attach(delta: LoadedDelta): Promise<Slot> {
    if (this.#closed) throw this.#closed;
    using handed = await this.#handOver.put(delta).catch((error: unknown) => {
      throw this.#closed ?? error; // The file went with the child.
    });
    const call = this.#call();
    void this.#channel.send({ kind: "attach", call: call.number, delta: handed.delta });
    const slot = (await call.answer) as Slot;
    this.#slots.attach(slot);
    return slot;
  }

  async detach(slot: Slot): Promise<void> {
    if (this.#closed) return; // The slots went with the process.
    this.#slots.detach(slot);
    const call = this.#call();
    void this.#channel.send({ kind: "detach", call: call.number, slot });
    await call.answer;
  }

  async *generate(spec: SequenceSpec, signal: AbortSignal): AsyncGenerator<SequenceEvent> {
    signal.throwIfAborted();
    if (this.#closed) throw this.#closed;
    const stream = new ParentStream(spec.slot);
    const number = this.#numbers++;
    this.#slots.use(spec.slot);
    this.#streams.set(number, stream);
    void this.#channel.send({ kind: "generate", stream: number, spec });
    const abort = () => stream.queue.fail(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      for await (const event of stream.queue) {
        signal.throwIfAborted(); // Not what was queued before: who aborts is not interested.
        yield event;
        const events = stream.taken();
        if (events > 0) void this.#channel.send({ kind: "credit", stream: number, events });
      }
    } finally {
      signal.removeEventListener("abort", abort);
      this.#forget(number, stream);
    }
  }

  /** As of the child's last word, which is at most a step or some milliseconds old. */
  load(): EngineLoad {
    return this.#load;
  }

  /** Stops the child in order: it ends what runs with Fault shutting_down, finishes its step and exits; killed if it does not. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Kills a child that hangs. Asks twice, since it may be this process that stood still in between. */
  async watch(silenceMsMax: Millis): Promise<void> {
    for (let unanswered = 0; unanswered < 2; unanswered = this.#heard ? 0 : unanswered + 1) {
      this.#heard = false;
      void this.#channel.send({ kind: "ask" });
      try {
        await this.#clock.after(silenceMsMax, this.#watching.signal);
      } catch {
        return; // It has ended, of which `#ended` tells.
      }
    }
    this.#lastWord = new EngineLoss("silent", `the engine's process did not answer for ${2 * silenceMsMax} ms`);
    this.#channel.kill();
  }

  receive(message: FromEngine): void {
    this.#heard = true;
    if ("load" in message) this.#load = message.load;
    switch (message.kind) {
      case "news":
        for (const news of message.streams) this.#streams.get(news.stream)?.receive(news);
        return;
      case "reply":
        this.#take(message.call)?.resolve(message.slot);
        return;
      case "refusal":
        this.#take(message.call)?.reject(faultFrom(message.fault));
        return;
      case "lost":
        this.#lastWord = new EngineLoss("failed", message.message);
        this.#channel.kill(); // It would end by itself, but for a driver that hangs when a lost device is let go.
    }
  }

  /** The row is freed, or will be as soon as the child hears of it. Idempotent. */
  #forget(number: number, stream: ParentStream): void {
    if (!this.#streams.delete(number)) return;
    this.#slots.release(stream.slot);
    if (!stream.ended) void this.#channel.send({ kind: "cancel", stream: number });
  }

  #call(): { readonly number: number; readonly answer: Promise<Slot | undefined> } {
    if (this.#closed) throw this.#closed;
    const number = this.#numbers++;
    const call = Promise.withResolvers<Slot | undefined>();
    this.#calls.set(number, call);
    return { number, answer: call.promise };
  }

  #take(number: number): PromiseWithResolvers<Slot | undefined> | undefined {
    const call = this.#calls.get(number);
    this.#calls.delete(number);
    return call;
  }

  #ended(reason: EngineLoss): void {
    this.#watching.abort();
    const expected = this.#closed !== undefined;
    this.#closed ??= lostFault(reason);
    for (const { queue } of this.#streams.values()) queue.fail(this.#closed);
    for (const call of this.#calls.values()) call.reject(this.#closed);
    this.#calls.clear();
    if (!expected) this.#declareLost(reason);
  }

  async #stop(): Promise<void> {
    this.#closed ??= new Fault("shutting_down", "the engine is stopping");
    const exited = new AbortController();
    void this.#channel.send({ kind: "stop" });
    this.#clock.after(this.#stopMsMax, exited.signal).then(
      () => this.#channel.kill(),
      () => undefined, // It has exited in time.
    );
    await this.#channel.ended;
    exited.abort();
  }
}
