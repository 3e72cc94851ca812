import { SECOND, systemClock, toFault } from "#kernel";
import { FineTuningServiceService, type JobEvent } from "#proto";
import type { Connection } from "./connection.ts";

/** A router that stops ends whoever follows a job there; another one, or its next life, is there within seconds. */
const TRIES_MAX = 10;
const PAUSE_MS = SECOND;

/**
 * A job's events so far, with `follow` also those to come until it is over: each once, in order, also where the router that told of
 * them goes away meanwhile. @throws Fault resource_unknown; of kind `unavailable` when nobody has answered for some seconds
 */
export async function* jobEvents({ channel, signal }: Connection, id: string, follow: boolean): AsyncGenerator<JobEvent> {
  let after = 0;
  for (let tries = 1; ; tries++) {
    try {
      for await (const { event } of channel.serverStream(FineTuningServiceService.watchEvents, { id, after, follow }, { signal })) {
        if (!event) continue;
        yield event;
        after = event.position;
        tries = 1;
      }
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!follow || tries === TRIES_MAX || toFault(error).code !== "unavailable") throw error;
    }
    await systemClock.after(PAUSE_MS, signal);
  }
}
