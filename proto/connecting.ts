import { type Client, connectivityState, Metadata, status } from "@grpc/grpc-js";
import type { Clock, Millis } from "#kernel";
import { statusToFault } from "./status.ts";

/** Gives what waits for a connection, or for the news that there is none; undefined when there is no need to. */
export function connecting(client: Client, clock: Clock, msMax: Millis): () => Promise<void> | undefined {
  const channel = client.getChannel();
  const waiting = (state: connectivityState) => state === connectivityState.IDLE || state === connectivityState.CONNECTING;
  const wait = async (before: connectivityState) => {
    const until = clock.now() + msMax;
    for (let state = before; waiting(state); state = channel.getConnectivityState(true)) {
      const error = await new Promise<Error | undefined>((resolve) => channel.watchConnectivityState(state, until, resolve));
      if (!error) continue;
      const details = `no connection after ${msMax} ms`;
      throw statusToFault(Object.assign(new Error(details), { code: status.UNAVAILABLE, details, metadata: new Metadata() }));
    }
  };
  return () => {
    const state = channel.getConnectivityState(true);
    return waiting(state) ? wait(state) : undefined;
  };
}
