import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { ModelServiceService, type PushDeltaRequest } from "#proto";
import { BASE_NAME } from "../router/testing/cluster-of.ts";
import { type RouterUnderTest, runRouter } from "../router/testing/running-router.ts";
import { scriptedNode } from "../router/testing/scripted-node.ts";
import { createProgram } from "./program.ts";

let under: RouterUnderTest;
beforeAll(async () => {
  under = await runRouter({ a: scriptedNode() });
});
afterAll(() => under[Symbol.asyncDispose]());

/** Runs `deltaplane …` as an operator of the router, and gives what it printed to stdout. */
async function deltaplane(...args: string[]): Promise<string> {
  const doors = ["--server", `127.0.0.1:${under.router.grpcPort}`, "--admin-server", `127.0.0.1:${under.router.adminPort}`];
  let printed = "";
  const stdout = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += text;
    return true;
  });
  const stderr = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
  try {
    await createProgram().parseAsync([...doors, "--key", under.adminKey, ...args], { from: "user" });
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
  }
  return printed;
}
const json = async (...args: string[]) => JSON.parse(await deltaplane(...args, "-o", "json"));

test("a customer's life: added, limited, given a budget and keys, suspended, resumed", async () => {
  await deltaplane("tenants", "add", "acme");
  const set = ["--requests-per-minute", "600", "--max-tokens", "1000", "--budget-usd", "12.5"];
  expect(await deltaplane("tenants", "set", "acme", ...set)).toMatch(/\$12\.50 a month +requests-per-minute=600 max-tokens=1000/);
  const [changed] = await json("tenants", "set", "acme", "--max-tokens", "none", "--budget-period", "ever");
  expect(changed).toMatchObject({ limits: { requestsPerMinute: 600 }, budget: { usd: "12.50", period: 2 } });
  expect(changed.limits).not.toHaveProperty("maxTokens");
  expect((await json("tenants", "set", "acme", "--budget-usd", "none"))[0].budget).toBeUndefined();
  expect(await json("tenants", "show", "acme")).toMatchObject({ id: "acme", requestsRunning: 0, heldUsd: "0.00", spentUsd: "0.00" });

  await deltaplane("projects", "add", "chatbot", "--tenant", "acme");
  expect((await json("projects", "ls", "--tenant", "acme")).map((project: { id: string }) => project.id)).toEqual(["chatbot", "default"]);
  const wish = ["--tenant", "acme", "--project", "chatbot", "--name", "web shop", "--scopes", "infer,train", "--expires", "90d"];
  const secret = (await deltaplane("keys", "create", ...wish)).trim();
  const { keyId } = await under.router.core.authenticate(secret);
  expect(await deltaplane("keys", "ls", "--tenant", "acme")).toMatch(/acme +chatbot +web shop +infer,train/);

  expect((await json("tenants", "suspend", "acme"))[0].suspendedAtMs).toBeGreaterThan(0);
  await expect(under.router.core.authenticate(secret)).rejects.toMatchObject({ reason: "tenant_suspended" });
  await deltaplane("tenants", "resume", "acme");
  await under.router.core.authenticate(secret);
  await deltaplane("keys", "revoke", keyId);
  await expect(under.router.core.authenticate(secret)).rejects.toMatchObject({ reason: "key_unknown" });
});

test("an alias is set, listed, rolled back and removed", async () => {
  const push = async (weights: string) => {
    const upload = async function* (): AsyncGenerator<PushDeltaRequest> {
      yield { part: { $case: "header", value: { base: BASE_NAME, name: "tax", tenantId: "acme" } } };
      yield { part: { $case: "config", value: Buffer.from("{}") } };
      yield { part: { $case: "weights", value: Buffer.from(weights) } };
    };
    return (await under.operator.clientStream(ModelServiceService.pushDelta, upload())).delta!.name;
  };
  const [one, two] = [await push("1"), await push("2")];
  await deltaplane("alias", "set", "acme/bot", one);
  expect(await deltaplane("alias", "set", "acme/bot", `${one}=90`, `${two}=10`)).toContain(`${one}=90 ${two}=10  ${one}=1 until `);
  expect((await json("alias", "rollback", "acme/bot"))[0]).toMatchObject({ targets: [{ delta: one }], previous: [] });
  await deltaplane("alias", "rm", "acme/bot");
  expect((await json("alias", "ls")).map((alias: { name: string }) => alias.name)).toEqual(["acme/tax"]);
});
