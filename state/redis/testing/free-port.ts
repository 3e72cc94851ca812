import { createServer, type Server } from "node:net";

/**
 * Ports of test servers, and the cluster buses of Redis, stay below the range from which the kernel takes ports for
 * outgoing connections: no connection of ours sits on one while its server is dead between a kill and its next life.
 */
const PORT_MIN = 12_000;
const PORT_MAX = 22_000;
/** A Redis Cluster's node listens for the others this far above its port. */
const CLUSTER_BUS_OFFSET = 10_000;
/** A live cluster with everything twice takes a dozen. */
const BLOCK_SIZE = 50;
const BLOCKS = (PORT_MAX - PORT_MIN) / BLOCK_SIZE;
const HOST = "127.0.0.1";

let block: Promise<Iterator<number, never>> | undefined;

/**
 * A port of the loopback that nobody listens on, nor on its cluster bus, and that no other test process will be given
 * while this one lives: also not while whoever listens there is dead for a moment.
 */
export async function freePort(): Promise<number> {
  block ??= claimBlock();
  const ports = await block;
  for (let attempt = 1; attempt < BLOCK_SIZE; attempt++) {
    const port = ports.next().value;
    if ((await canListen(port)) && (await canListen(port + CLUSTER_BUS_OFFSET))) return port;
  }
  throw new Error(`this process listens on all ${BLOCK_SIZE} ports of its block`);
}

/** A block is its process's as long as that listens on the block's first port: the kernel gives it back, however it ends. */
async function claimBlock(): Promise<Iterator<number, never>> {
  const start = Math.floor(Math.random() * BLOCKS);
  for (let attempt = 0; attempt < BLOCKS; attempt++) {
    const first = PORT_MIN + ((start + attempt) % BLOCKS) * BLOCK_SIZE;
    const claim = await listen(first);
    if (claim === undefined) continue;
    claim.unref();
    return portsAfter(first);
  }
  throw new Error(`all ${BLOCKS} blocks of ports from ${PORT_MIN} to ${PORT_MAX} are taken`);
}

/** Round and round, so that a port rests as long as possible before it is given again. */
function* portsAfter(first: number): Generator<number, never> {
  for (let next = 0; ; next = (next + 1) % (BLOCK_SIZE - 1)) yield first + 1 + next;
}

async function canListen(port: number): Promise<boolean> {
  const server = await listen(port);
  if (server === undefined) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

/** Undefined when somebody else does. */
function listen(port: number): Promise<Server | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(undefined));
    server.listen(port, HOST, () => resolve(server));
  });
}
