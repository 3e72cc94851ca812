import { expect, test } from "vitest";
import { InferenceServiceService, Prompt, type Sampling } from "#proto";
import { BASE_NAME, nodeView, snapshotOf } from "../../router/testing/cluster-of.ts";
import { runRouter } from "../../router/testing/running-router.ts";
import { scriptedNode } from "../../router/testing/scripted-node.ts";

const request = {
  ...{ model: BASE_NAME, echo: false, idempotencyKey: "" },
  prompt: Prompt.fromPartial({ kind: { $case: "text", value: "once" } }),
  sampling: { n: 1, maxTokens: 4, stop: [], logitBias: {} } as unknown as Sampling,
};

test("a base goes down to no node, is remembered, and a request wakes it: readiness and metrics say so", async () => {
  await using under = await runRouter({ a: scriptedNode() }, { wake: { bases: [BASE_NAME] }, httpListen: "127.0.0.1:0" });
  const { text: key } = await under.tenantKey("acme");
  const ask = () => Array.fromAsync(under.channel(key).serverStream(InferenceServiceService.generate, request));
  const metric = async (name: string) =>
    new RegExp(`^${name}\\{base="${BASE_NAME}"[^}]*\\} (\\d+)$`, "m").exec(await under.registry.metrics())?.[1];
  const ready = async () => (await fetch(`http://127.0.0.1:${under.router.httpPort}/readyz`)).status;
  expect(await metric("deltaplane_wake_nodes_wanted")).toBe("0");
  const answer = await ask();
  expect(await metric("deltaplane_wake_nodes_wanted")).toBe("1");
  // Its name outlives its nodes, once it was seen.
  await expect.poll(() => under.store.records.get(`base/${BASE_NAME}`), { timeout: 15_000 }).toBeDefined();

  under.cluster.set(snapshotOf([], 2));
  expect(await ready(), "a router that is not ready gets no request, and could wake nobody").toBe(200);
  const waiting = ask();
  await expect.poll(() => metric("deltaplane_waiting_room_requests"), { timeout: 10_000 }).toBe("1");
  under.cluster.set(snapshotOf([nodeView("a")], 3));
  const text = (pieces: Awaited<typeof answer>) => pieces.map((piece) => piece.text).join("");
  expect(text(await waiting)).toBe(text(answer));
  expect(await metric("deltaplane_waiting_room_requests")).toBe("0");
});

test("without it the same request is refused at once, with advice", async () => {
  await using under = await runRouter({ a: scriptedNode() });
  const { text: key } = await under.tenantKey("acme");
  under.cluster.set(snapshotOf([], 2));
  const asked = Array.fromAsync(under.channel(key).serverStream(InferenceServiceService.generate, request));
  await expect(asked).rejects.toMatchObject({ reason: "no_ready_node", retry: { kind: "after" } });
});
