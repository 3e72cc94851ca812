import { setTimeout as wait } from "node:timers/promises";
import { VirtualClock } from "#kernel";

/**
 * A virtual clock and a real network: time moves only while no request is under way, so that no deadline passes because this
 * machine is slow.
 */
export function quietClock() {
  const clock = new VirtualClock();
  let underWay = 0;
  const countingFetch: typeof globalThis.fetch = async (input, init) => {
    underWay += 1;
    try {
      const response = await globalThis.fetch(input, init);
      const body = await response.arrayBuffer();
      return new Response(body.byteLength > 0 ? body : null, response);
    } finally {
      underWay -= 1;
    }
  };
  return {
    clock,
    fetch: countingFetch,
    /** Lets time pass until the promise is settled. */
    async through<T>(promise: Promise<T>): Promise<T> {
      let done = false;
      const settled = promise.finally(() => {
        done = true;
      });
      settled.catch(() => undefined); // The caller sees it.
      for (; !done; await wait(1)) if (underWay === 0) await clock.advance(500);
      return settled;
    },
    /** Lets time pass, so much at once, until `condition` holds. */
    async until(condition: () => boolean, stepMs = 500): Promise<void> {
      for (; !condition(); await wait(1)) if (underWay === 0) await clock.advance(stepMs);
    },
  };
}
