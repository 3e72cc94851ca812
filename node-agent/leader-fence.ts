import { Fault, type Log } from "#kernel";

/** Lets no scheduler give orders that another one has followed as leader: epochs only grow. */
export class LeaderFence {
  readonly #log: Log;
  #epoch = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  /** @param epoch 0 for whoever is no scheduler @throws Fault lease_lost when a later leader has spoken */
  check(epoch: number): void {
    if (epoch === 0) return;
    if (epoch < this.#epoch) throw new Fault("lease_lost", `this order is of leader epoch ${epoch}; epoch ${this.#epoch} has begun`);
    if (epoch > this.#epoch) this.#log.info({ epoch }, "a scheduler leads");
    this.#epoch = epoch;
  }
}
