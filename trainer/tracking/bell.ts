/** Wakes whoever waits for the next ring. A ring that nobody waits for is lost: look first, then wait. */
export class Bell {
  #next = Promise.withResolvers<void>();

  ring(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers<void>();
  }

  get next(): Promise<void> {
    return this.#next.promise;
  }
}
