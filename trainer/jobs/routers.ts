import { Fault, toFault } from "#kernel";
import type { GrpcChannel } from "#proto";

/**
 * The routers of a cluster, any of which will do: they share one store. Whoever answered last is asked again, since it knows
 * what it was told before others hear of it; who cannot be reached or is stopping is passed over.
 */
export class Routers {
  readonly #channels: Iterable<GrpcChannel>;
  #last: GrpcChannel | undefined;

  /** @param channels those that are there now, best first, each time it is iterated over */
  constructor(channels: Iterable<GrpcChannel>) {
    this.#channels = channels;
  }

  /** What the first of them that is there answers. The call may be made again, and says the same to each. @throws its fault */
  async ask<R>(call: (router: GrpcChannel) => Promise<R>): Promise<R> {
    let failure: Fault = new Fault("node_lost", "this trainer knows no router");
    for (const router of this.#inTurn()) {
      try {
        const answer = await call(router);
        this.#last = router;
        return answer;
      } catch (error) {
        failure = passedOver(error);
      }
    }
    throw failure;
  }

  /** The stream of the first of them that begins one; nobody else goes on with a stream that breaks. @throws its fault */
  async *read<M>(call: (router: GrpcChannel) => AsyncIterable<M>): AsyncGenerator<M> {
    const stream = await this.ask(async (router) => {
      const messages = call(router)[Symbol.asyncIterator]();
      return { messages, first: await messages.next() };
    });
    try {
      for (let next = stream.first; !next.done; next = await stream.messages.next()) yield next.value;
    } finally {
      await stream.messages.return?.();
    }
  }

  #inTurn(): readonly GrpcChannel[] {
    const channels = [...this.#channels];
    return this.#last && channels.includes(this.#last) ? [...new Set([this.#last, ...channels])] : channels;
  }
}

/** @throws the error itself when others would say the same */
function passedOver(error: unknown): Fault {
  const fault = toFault(error);
  if (fault.code !== "unavailable") throw error;
  return fault;
}
