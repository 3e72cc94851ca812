import { type Clock, Fault, type Log, type Millis, SECOND } from "#kernel";
import type { Engine, LossKind } from "./engine/index.ts";

/** Starts the engine of one base; rejects with the Fault that says why it can't. */
export type StartEngine = () => Promise<Engine>;

/** One engine and what belongs to it alone, from its start to its end. */
export interface EngineLife<T> {
  readonly engine: Engine;
  readonly belongings: T;
}

export interface SupervisionHooks<T> {
  /** Makes what lives as long as one engine. */
  readonly begin: (engine: Engine) => T;
  /** Ends it: the engine is gone already, or goes next. */
  readonly end: (belongings: T, reason: Fault) => void;
  /** Told each time that another engine has to be started, and why. */
  readonly lost?: (reason: LossKind | "no_start") => void;
}

/** Quick enough that a client's retry finds the engine, doubled up to a pace that a broken machine can bear. */
const RESTART_MS_MIN: Millis = SECOND / 5;
const RESTART_MS_MAX: Millis = 5 * SECOND;
/** An engine that lived so long was no failed start: its successor begins again with the short wait. */
const STEADY_MS: Millis = 30 * SECOND;

/**
 * Keeps one engine running: when it is lost, another is started, after a wait that doubles. In between there is none, and
 * whoever needs one is told engine_lost and may ask another node.
 */
export class SupervisedEngine<T> implements AsyncDisposable {
  readonly #deps: { readonly clock: Clock; readonly log: Log };
  readonly #start: StartEngine;
  readonly #hooks: SupervisionHooks<T>;
  readonly #stopping = new AbortController();
  readonly #supervision: Promise<void>;
  #life: EngineLife<T> | undefined;

  private constructor(deps: { readonly clock: Clock; readonly log: Log }, start: StartEngine, hooks: SupervisionHooks<T>, first: Engine) {
    this.#deps = deps;
    this.#start = start;
    this.#hooks = hooks;
    this.#life = { engine: first, belongings: hooks.begin(first) };
    this.#supervision = this.#supervise(this.#life);
  }

  /** The first start must succeed: a base that can't be opened is the caller's mistake, not a crash. */
  static async start<T>(
    deps: { readonly clock: Clock; readonly log: Log },
    start: StartEngine,
    hooks: SupervisionHooks<T>,
  ): Promise<SupervisedEngine<T>> {
    return new SupervisedEngine(deps, start, hooks, await start());
  }

  get life(): EngineLife<T> | undefined {
    return this.#life;
  }

  /** Stops the engine in order. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Fault("shutting_down", "the node is shutting down"));
    await this.#supervision;
  }

  async #supervise(first: EngineLife<T>): Promise<void> {
    const stopped = new Promise<undefined>((resolve) => {
      this.#stopping.signal.addEventListener("abort", () => resolve(undefined), { once: true });
    });
    let waitMs = RESTART_MS_MIN;
    for (let life: EngineLife<T> | undefined = first; life; ) {
      const begunAt = this.#deps.clock.monotonic();
      const lost = await Promise.race([life.engine.lost, stopped]);
      await this.#bury(life, lost);
      if (!lost) return;
      this.#hooks.lost?.(lost.kind);
      if (this.#deps.clock.monotonic() - begunAt >= STEADY_MS) waitMs = RESTART_MS_MIN;
      this.#deps.log.error({ base: life.engine.base.name, err: lost, waitMs }, "the engine was lost and will be started again");
      [life, waitMs] = await this.#restart(waitMs);
    }
  }

  /** Undefined when told to stop in the meantime. */
  async #restart(waitMs: Millis): Promise<[EngineLife<T> | undefined, Millis]> {
    for (let wait = waitMs; ; wait = Math.min(wait * 2, RESTART_MS_MAX)) {
      try {
        await this.#deps.clock.after(wait, this.#stopping.signal);
        const engine = await this.#start();
        this.#life = { engine, belongings: this.#hooks.begin(engine) };
        this.#deps.log.info({ base: engine.base.name }, "the engine is back");
        return [this.#life, Math.min(wait * 2, RESTART_MS_MAX)];
      } catch (error) {
        if (this.#stopping.signal.aborted) return [undefined, wait];
        this.#hooks.lost?.("no_start");
        this.#deps.log.error({ err: error }, "the engine did not start; it will be tried again");
      }
    }
  }

  async #bury(life: EngineLife<T>, lost: Error | undefined): Promise<void> {
    this.#life = undefined;
    const reason = lost
      ? new Fault("engine_lost", "the engine's process ended; it is being started again", { cause: lost })
      : new Fault("shutting_down", "the node is shutting down");
    this.#hooks.end(life.belongings, reason);
    await life.engine[Symbol.asyncDispose]();
  }
}
