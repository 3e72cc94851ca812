import { Fault } from "#kernel";

/** What runs on this node, so that a drain can wait for it. */
export class ActiveWork {
  #running = 0;
  #draining = false;
  #stopping = false;
  readonly #onChange: () => void;
  #idle = Promise.withResolvers<void>();

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Begins a piece of work; call what it returns, once, at its end. @throws Fault node_draining */
  begin(): () => void {
    if (this.#draining) throw new Fault("node_draining", "the node takes no new work");
    this.#running += 1;
    return () => {
      this.#running -= 1;
      if (this.#draining && this.#running === 0) this.#idle.resolve();
    };
  }

  /** No new work from now on; resolves when what runs has ended. Idempotent, joins a drain in progress. */
  drain(): Promise<void> {
    if (!this.#draining) {
      this.#draining = true;
      this.#onChange();
    }
    if (this.#running === 0) this.#idle.resolve();
    return this.#idle.promise;
  }

  /** A drain without return. */
  stop(): Promise<void> {
    this.#stopping = true;
    return this.drain();
  }

  /** Takes new work again; whoever waits for the end of a drain is told that there is none. @throws Fault shutting_down */
  resume(): void {
    if (this.#stopping) throw new Fault("shutting_down", "the node is shutting down");
    if (!this.#draining) return;
    this.#draining = false;
    this.#idle.promise.catch(() => undefined); // Nobody may be waiting.
    this.#idle.reject(new Fault("version_conflict", "the node was taken back into service"));
    this.#idle = Promise.withResolvers();
    this.#onChange();
  }
}
