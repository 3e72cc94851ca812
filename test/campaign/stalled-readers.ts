import { readFileSync } from "node:fs";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { InferenceServiceService, Sampling } from "#proto";
import { askOverGrpc, generateRequest } from "./grpc-client.ts";
import { type LiveCluster, rowsRunning } from "./live-cluster.ts";
import { addLoadCustomer, sizedAsk } from "./load-customer.ts";
import { completed, firstPieceMs, type LoadFigures } from "./load-figures.ts";
import { pause, waitUntil } from "./patience.ts";

export interface StalledReadersOptions {
  readonly readers: number;
  /** After that whoever never reads must have been cut off. */
  readonly seconds: number;
  /** So many ask the same before, and read it to its end. Default: nobody. */
  readonly readBefore?: number;
}

/** Much text per token, so that every buffer on the way is full long before the end. */
const TOKENS = 900;
const ALTERNATIVES = 20;
/** The kernel holds megabytes for a socket: one over HTTP/1 asks for more at once. */
const SOCKET_CHOICES = 4;
const SOCKET_SHARE = 0.1;
const STREAMS_PER_SESSION = 20;
const PAUSE_MS = 250;
const READ_MS_MAX = 300_000;

/**
 * Clients that ask and never read: what do they cost, and whom do they hold up? Before, as many ask the same as fill every row,
 * and read it. What is kept of that was not taken for those who stand still: pages of the engine's cache, of which each is the
 * system's until it is first written, by whomever, and the runtime's arenas for full batches.
 */
export async function checkStalledReaders(cluster: LiveCluster, options: StalledReadersOptions): Promise<LoadFigures> {
  const deaf = await addLoadCustomer(cluster, "deaf");
  const other = await addLoadCustomer(cluster, "other");
  const ask = sizedAsk(8, 16);
  await askOverGrpc(other.channels[0]!, ask);
  const router = cluster.routers[0]!;
  const watched = { router: router.process.pid!, node: cluster.nodes[0]!.process.pid!, engine: cluster.nodes[0]!.enginePid()! };
  const idle = residentMb(watched);
  const { readers, readBefore = 0 } = options;
  if (readBefore > 0) await untilRead(cluster, () => openReaders(router, deaf.key, readBefore, "read"));
  const before = residentMb(watched);
  const most = { ...before };
  const stalled = openReaders(router, deaf.key, readers, "stall");

  const served = [];
  const until = Date.now() + options.seconds * 1000;
  let endedMs: number | undefined;
  let heldMost = 0;
  const startedMs = performance.now();
  while (Date.now() < until && endedMs === undefined) {
    served.push({ ...(await askOverGrpc(other.channels[0]!, ask)), lateMs: 0 });
    for (const [name, mb] of Object.entries(residentMb(watched)))
      most[name as keyof typeof most] = Math.max(most[name as keyof typeof most], mb);
    const running = await rowsRunning(cluster.admin);
    heldMost = Math.max(heldMost, running);
    if (heldMost > 0 && running === 0) endedMs = performance.now() - startedMs;
    await pause(PAUSE_MS);
  }
  stalled.destroy();
  return {
    figures: {
      readers,
      requests_held_max: heldMost,
      /** The whole time when some were still held at its end. */
      cut_off_after_s: endedMs === undefined ? options.seconds : endedMs / 1000,
      router_growth_mb: most.router - before.router,
      node_growth_mb: most.node - before.node,
      engine_growth_mb: most.engine - before.engine,
      router_growth_by_reading_mb: before.router - idle.router,
      node_growth_by_reading_mb: before.node - idle.node,
      engine_growth_by_reading_mb: before.engine - idle.engine,
      others_asked: served.length,
      others_served: completed(served).length,
      others_ttft_max_ms: Math.max(...firstPieceMs(served)),
    },
    violations: served
      .filter(({ ending }) => ending !== "completed")
      .map(({ fault }) => ({ rule: "F22", what: `who reads was not served beside those who do not: ${fault?.reason} ${fault?.message}` })),
  };
}

type Habit = "read" | "stall";

/** Resolves when the readers that are opened have been answered. */
async function untilRead(cluster: LiveCluster, open: () => { destroy(): void }): Promise<void> {
  const readers = open();
  let begun = false;
  await waitUntil("those who read to be answered", READ_MS_MAX, async () => {
    const running = await rowsRunning(cluster.admin);
    begun ||= running > 0;
    return begun && running === 0;
  });
  readers.destroy();
}

function openReaders(router: { readonly grpc: string; readonly http: string }, key: string, readers: number, habit: Habit) {
  const socketCount = Math.ceil(readers * SOCKET_SHARE);
  const sockets = Array.from({ length: socketCount }, () => openSocket(router.http, key, habit));
  const sessions: ClientHttp2Session[] = [];
  for (let stream = 0; stream < readers - socketCount; stream++) {
    if (stream % STREAMS_PER_SESSION === 0) sessions.push(connectHttp2(`http://${router.grpc}`).on("error", () => undefined));
    openStream(sessions.at(-1)!, key, habit);
  }
  return {
    destroy() {
      for (const socket of sockets) socket.destroy();
      for (const session of sessions) session.destroy();
    },
  };
}

/** Not by grpc-js: its client takes from the wire what nobody has asked it for. */
function openStream(session: ClientHttp2Session, key: string, habit: Habit): void {
  const { path, requestSerialize } = InferenceServiceService.generate;
  const request = generateRequest(sizedAsk(8, TOKENS));
  const message = requestSerialize({ ...request, sampling: Sampling.fromPartial({ ...request.sampling, logprobs: ALTERNATIVES }) });
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  const headers = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers", authorization: `Bearer ${key}` };
  const stream = session.request(headers);
  if (habit === "read") stream.resume();
  else stream.pause();
  stream.on("error", () => undefined); // The server may cut it: that is what is tested.
  stream.end(Buffer.concat([prefix, message]));
}

function openSocket(http: string, key: string, habit: Habit): Socket {
  const { hostname, port } = new URL(http);
  const { model, prompt } = sizedAsk(8, TOKENS);
  const messages = [{ role: "user", content: prompt }];
  const wordy = { n: SOCKET_CHOICES, logprobs: true, top_logprobs: ALTERNATIVES, max_tokens: TOKENS, ignore_eos: true };
  const body = JSON.stringify({ model, messages, stream: true, ...wordy });
  const socket = connect(Number(port), hostname);
  if (habit === "read") socket.resume();
  else socket.pause();
  socket.on("error", () => undefined); // The server may cut it: that is what is tested.
  const head = [
    "POST /v1/chat/completions HTTP/1.1",
    `host: ${hostname}`,
    `authorization: Bearer ${key}`,
    "content-type: application/json",
  ];
  socket.write(`${head.join("\r\n")}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  return socket;
}

function residentMb<Name extends string>(pids: Readonly<Record<Name, number>>): Record<Name, number> {
  const entries = Object.entries<number>(pids).map(([name, pid]) => {
    const kb = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
    return [name, kb / 1024];
  });
  return Object.fromEntries(entries) as Record<Name, number>;
}
