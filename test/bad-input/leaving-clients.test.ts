import { readFileSync } from "node:fs";
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { seededRandom } from "#kernel";
import { BillingServiceService, type GenerateRequest, InferenceServiceService, Sampling, UsageDimension } from "#proto";
import { generate, greedy } from "../cluster/generated-text.ts";
import { type SteadyCluster, startSteadyCluster } from "./steady-cluster.ts";

let steady: SteadyCluster;
beforeAll(async () => {
  steady = await startSteadyCluster();
});
afterAll(() => steady?.[Symbol.asyncDispose]());

const endless = (model: string, changes: Partial<Sampling> = {}): GenerateRequest => {
  const request = greedy(model, "Tell me everything.", 900);
  return { ...request, sampling: Sampling.fromPartial({ ...request.sampling, ignoreEos: true, ...changes }) };
};

const CANCELS = 200;
const AT_ONCE = 32;
/**
 * What may lie between the router's hand-over and a client that leaves: a step or two of the engine, and what comes while the client's own
 * process waits for a core. Far from the 900 that a row would make if nobody stopped it.
 */
const IN_FLIGHT_TOKENS_MAX = 64;

test("200 clients that leave at any moment free their rows, and pay for what was handed over to them", async () => {
  const random = seededRandom(20_261_123);
  const before = await billed();
  let seen = 0;
  const leave = async (index: number) => {
    const pieces = Math.floor(random.float() * 20);
    const customer = index % 2 === 0 ? steady.acme : steady.globex;
    const cancel = new AbortController();
    if (pieces === 0) setTimeout(() => cancel.abort(new Error("gone")), random.float() * 50);
    let got = 0;
    try {
      const stream = customer.channel.serverStream(InferenceServiceService.generate, endless(customer.alias), { signal: cancel.signal });
      for await (const piece of stream) {
        seen += piece.tokenIds.length;
        if (++got === pieces) cancel.abort(new Error("gone"));
      }
    } catch (error) {
      expect(error).toMatchObject({ message: "gone" });
    }
    expect(cancel.signal.aborted).toBe(true);
  };
  for (let first = 0; first < CANCELS; first += AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, CANCELS - first) }, (_, index) => leave(first + index)));
  }
  await expect.poll(steady.running, { timeout: 10_000 }).toBe(0);
  await settled();
  const charged = (await billed()) - before;
  expect(charged).toBeGreaterThanOrEqual(seen);
  expect(charged).toBeLessThanOrEqual(seen + CANCELS * IN_FLIGHT_TOKENS_MAX);
  await steady.expectSteady();
});

const STALLED_OF_EACH = 2;
/** The 30 s of both doors, after the time it takes to fill every buffer. */
const STALL_MS_MAX = 75_000;
const ROUTER_GROWTH_KB_MAX = 100 * 1024;

test("clients that never read cost bounded memory, delay nobody, and are ended", { timeout: 110_000 }, async () => {
  const usual = await generate(steady.globex.channel, greedy(steady.globex.alias, "Once", 32));
  const residentKbBefore = residentKb(steady.routerPid);
  const sockets = Array.from({ length: STALLED_OF_EACH }, () =>
    neverReadingSocket(steady.cluster.http, steady.acme.key, steady.acme.alias),
  );
  const session = connectHttp2(`http://${steady.cluster.grpc}`);
  const streams = Array.from({ length: STALLED_OF_EACH }, () => neverReadingStream(session, steady.acme.key, steady.acme.alias));
  await expect.poll(steady.running, { timeout: 10_000 }).toBeGreaterThanOrEqual(2 * STALLED_OF_EACH);

  const deadline = Date.now() + STALL_MS_MAX;
  let residentKbMax = 0;
  let others = 0;
  for (let stalled = true; stalled; others++) {
    const other = await generate(steady.globex.channel, greedy(steady.globex.alias, "Once", 32));
    expect(other.text).toBe(usual.text);
    residentKbMax = Math.max(residentKbMax, residentKb(steady.routerPid));
    stalled = (await steady.running()) > 0;
    expect(Date.now(), "the stalled streams are ended in time").toBeLessThan(deadline);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(others, "others were served all the while").toBeGreaterThan(5);
  expect(residentKbMax - residentKbBefore).toBeLessThan(ROUTER_GROWTH_KB_MAX);

  // Whoever reads at last learns that it was not the whole.
  for (const socket of sockets) expect(await restOf(socket)).not.toContain("[DONE]");
  for (const stream of streams) expect(await endOf(stream)).not.toBe(String(status.OK));
  session.destroy();
  await steady.expectSteady();
});

/** Completion tokens of all tenants in the ledger. */
async function billed(): Promise<number> {
  const by = [UsageDimension.USAGE_DIMENSION_TENANT];
  const { rows } = await steady.operator.unary(BillingServiceService.getUsage, { by, sinceMs: 0, untilMs: 0, tenantId: "" });
  return rows.reduce((sum, row) => sum + row.completionTokens, 0);
}

/** Waits until the ledger has not grown for a second: claims come from router and nodes. */
async function settled(): Promise<void> {
  for (let last = -1, now = await billed(); now !== last; now = await billed()) {
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

function residentKb(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
}

/** Much text per token and many rows, so that every buffer on the way, the kernel's megabytes too, is full long before the end. */
const CHOICES = 8;
const ALTERNATIVES = 20;

function neverReadingSocket(http: string, key: string, model: string): Socket {
  const { hostname, port } = new URL(http);
  const messages = [{ role: "user", content: "Tell me everything." }];
  const wordy = { n: CHOICES, logprobs: true, top_logprobs: ALTERNATIVES, max_tokens: 900, ignore_eos: true };
  const body = JSON.stringify({ model, messages, stream: true, ...wordy });
  const socket = connect(Number(port), hostname).pause();
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

/** Not by grpc-js: its client takes from the wire what nobody has asked it for. */
function neverReadingStream(session: ClientHttp2Session, key: string, model: string): ClientHttp2Stream {
  const { path, requestSerialize } = InferenceServiceService.generate;
  const message = requestSerialize(endless(model, { n: CHOICES, logprobs: ALTERNATIVES }));
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  const headers = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers", authorization: `Bearer ${key}` };
  const stream = session.request(headers).pause();
  stream.on("error", () => undefined); // The server may cut it: that is what is tested.
  return stream.end(Buffer.concat([prefix, message]));
}

/** How a call ends that is read at last: its gRPC status, or the code of HTTP/2 with which it was cut. */
async function endOf(stream: ClientHttp2Stream): Promise<string> {
  let status = "";
  stream.once("trailers", (trailers) => {
    status = String(trailers["grpc-status"]);
  });
  const ended = new Promise<void>((resolve) => stream.once("close", () => resolve()));
  stream.resume();
  await ended;
  return status || `cut with ${stream.rstCode}`;
}

/** Everything that had been sent, once it is read. */
async function restOf(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  const ended = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("data", (chunk: Buffer) => chunks.push(chunk)).resume();
  await ended;
  return Buffer.concat(chunks).toString();
}
