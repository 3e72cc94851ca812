import type { Clock, Fault, Millis } from "#kernel";

/**
 * Whether a connection stands. A loss is bridged: for a while, calls wait for the connection to come back. After that they
 * fail at once, until it is back. Nothing that was sent is ever sent again.
 */
export class Link {
  readonly #clock: Clock;
  #state: "up" | "lost" | "down" = "lost";
  #change = Promise.withResolvers<void>();
  /** Ends the wait for the connection to come back. */
  #bridge = new AbortController();

  constructor(clock: Clock, firstMs: Millis) {
    this.#clock = clock;
    this.#wait(firstMs);
  }

  /** Resolves when the connection stands. @throws `fault()` when it is down, or has not come back in time */
  async ready(fault: () => Fault): Promise<void> {
    if (this.#state === "lost") await this.#change.promise;
    if (this.#state !== "up") throw fault();
  }

  up(): void {
    this.#become("up");
  }

  /** Lost, and worth waiting for. Does nothing when that is known already. */
  lost(bridgeMs: Millis): void {
    if (this.#state !== "up") return;
    this.#state = "lost";
    this.#change = Promise.withResolvers<void>();
    this.#wait(bridgeMs);
  }

  /** Not worth waiting for. */
  down(): void {
    this.#become("down");
  }

  #wait(bridgeMs: Millis): void {
    const bridge = new AbortController();
    this.#bridge = bridge;
    this.#clock.after(bridgeMs, bridge.signal).then(
      () => this.#become("down"),
      () => undefined, // It is back, or given up.
    );
  }

  #become(state: "up" | "down"): void {
    this.#state = state;
    this.#bridge.abort("decided");
    this.#change.resolve();
  }
}
