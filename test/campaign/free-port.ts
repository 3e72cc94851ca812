import type { Random } from "#kernel";
import { canListen } from "../../state/redis/testing/redis-server.ts";

/**
 * Below the range from which the kernel takes ports for outgoing connections: while a server is dead between a kill and
 * its next life, no connection of ours may happen to sit on its port.
 */
const PORT_MIN = 12_000;
const PORT_MAX = 30_000;
const ATTEMPTS_MAX = 100;

/** A port of the loopback that nobody listens on, and that stays free over the deaths of whoever will. */
export async function freePort(random: Random): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const port = PORT_MIN + random.below(PORT_MAX - PORT_MIN);
    if (await canListen(port)) return port;
  }
  throw new Error(`no free port between ${PORT_MIN} and ${PORT_MAX} in ${ATTEMPTS_MAX} attempts`);
}
