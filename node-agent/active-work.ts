import { Fault } from "#kernel";

/** What runs on this node, so that a drain can wait for it. */
export class ActiveWork {
  #running = 0;
  #draining = false;
  readonly #onDrain: () => void;
  readonly #idle = Promise.withResolvers<void>();

  constructor(onDrain: () => void) {
    this.#onDrain = onDrain;
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
      this.#onDrain();
    }
    if (this.#running === 0) this.#idle.resolve();
    return this.#idle.promise;
  }
}
