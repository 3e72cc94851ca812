import { pino } from "pino";
import { expect, test } from "vitest";
import { systemClock } from "#kernel";
import { type GrpcChannel, implement, NodeServiceService, startGrpcServer } from "#proto";
import { ActiveWork } from "./active-work.ts";
import { stopAgent } from "./agent-stop.ts";
import { ChangeBell } from "./change-bell.ts";

const GRACE = { noticeMs: 5_000, streamsMs: 5_000, cutMs: 1_000, settleMs: 1_000 };

/** An agent with one piece of work in hand; what happens to it is written down. */
async function agent(drainNode: (work: ActiveWork, signal: AbortSignal) => Promise<object>) {
  const changes = new ChangeBell();
  const work = new ActiveWork(() => changes.ring());
  const end = work.begin();
  const happened: string[] = [];
  changes.listen(() => happened.push("draining"));
  const unused = async () => ({}) as never;
  const handlers = new Proxy({}, { get: () => unused }) as never;
  const implementation = implement(NodeServiceService, handlers, { clock: systemClock });
  const service = { name: "deltaplane.v1.NodeService", definition: NodeServiceService, implementation };
  const server = await startGrpcServer({ listen: "127.0.0.1:0", clock: systemClock, services: [service] });
  const unary = (_method: unknown, request: { readonly nodeId: string }, options: { readonly signal: AbortSignal }) => {
    happened.push(`asked for ${request.nodeId}`);
    return drainNode(work, options.signal);
  };
  const claims = { flush: async () => void happened.push("claims delivered") };
  const deps = {
    ...{ clock: systemClock, log: pino({ level: "silent" }), nodeId: "node-1", work, changes, server },
    schedulers: [{ unary } as unknown as GrpcChannel],
    claims: claims as never,
  };
  return { happened, work, end, stop: (grace = GRACE) => stopAgent(deps, grace) };
}

test("a node that is told to stop has its deltas copied, lets its work end, and delivers its claims, in this order", async () => {
  const { happened, end, stop } = await agent(async (work) => {
    happened.push("copied");
    void work.drain(); // As the leading scheduler does once nothing is missing elsewhere.
    return {};
  });
  const stopped = stop();
  await systemClock.after(20);
  expect(happened).toEqual(["asked for node-1", "copied", "draining"]);
  end();
  happened.push("work ended");
  await stopped;
  expect(happened.slice(3)).toEqual(["work ended", "claims delivered"]);
});

test("a scheduler that does not answer holds a stop up for no longer than the notice", async () => {
  const { happened, work, end, stop } = await agent(
    (_work, signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  );
  end();
  await stop({ ...GRACE, noticeMs: 30 });
  expect(work.draining).toBe(true);
  expect(happened.at(-1)).toBe("claims delivered");
});

test("work that does not end in time is cut, and the stop goes on", async () => {
  const { happened, stop } = await agent(async () => ({}));
  await stop({ ...GRACE, noticeMs: 0, streamsMs: 20, cutMs: 20 });
  expect(happened).toEqual(["draining", "claims delivered"]);
});
