import {
  AuthenticationError,
  BadRequestError,
  ConflictError,
  InternalServerError,
  NotFoundError,
  PermissionDeniedError,
  RateLimitError,
} from "openai";
import { describe, expect, test } from "vitest";
import { AdminServiceService, BudgetPeriod, Scope } from "#proto";
import { type Door, MODELS } from "./door.ts";

/** What goes wrong, in the client's own classes; retries; idempotency. */
export function faultCases(door: () => Door): void {
  const messages = [{ role: "user" as const, content: "Hi" }];
  const short = { model: "demo-base", prompt: "Hi", max_tokens: 2 };

  describe("faults", () => {
    test("come in the client's own classes, each with the request's id", async () => {
      const { client, clientOf, newKey } = door();
      const trainer = clientOf(await newKey("taxly", [Scope.SCOPE_TRAIN]));
      const faults = [
        [BadRequestError, () => client("taxly").completions.create({ ...short, temperature: 9 })],
        [BadRequestError, () => client("taxly").completions.create({ ...short, prompt: "word ".repeat(5_000) })],
        [AuthenticationError, () => clientOf("dp_wrong").completions.create(short)],
        [PermissionDeniedError, () => trainer.completions.create(short)],
        [NotFoundError, () => client("taxly").completions.create({ ...short, model: MODELS.lingua })],
        [
          ConflictError,
          async () => client("taxly").models.delete((await client("taxly").models.list()).data.find(({ id }) => id.startsWith("ft:"))!.id),
        ],
      ] as const;
      for (const [type, asking] of faults) {
        const fault = await Promise.resolve(asking()).catch((error: unknown) => error);
        expect(fault).toBeInstanceOf(type);
        expect(fault).toMatchObject({
          requestID: expect.stringMatching(/^req_[0-9a-f]{32}$/),
          code: expect.any(String),
          type: expect.any(String),
        });
      }
    });

    test("name what is not offered", async () => {
      const refused: readonly [string, object][] = [
        ["tools", { tools: [{ type: "function", function: { name: "f" } }] }],
        ["response_format", { response_format: { type: "json_object" } }],
        ["modalities", { modalities: ["text", "audio"] }],
        ["web_search_options", { web_search_options: {} }],
      ];
      for (const [param, fields] of refused) {
        const asking = door()
          .client("taxly")
          .chat.completions.create({ model: MODELS.taxly, messages, ...fields });
        await expect(asking).rejects.toMatchObject({ status: 400, code: "unsupported_parameter", param });
      }
    });

    test("in a body that no client sends", async () => {
      const { cluster } = door();
      const send = (body: string, path = "chat/completions") =>
        fetch(`${cluster.http}/v1/${path}`, {
          ...{ method: "POST", body },
          headers: { authorization: `Bearer ${cluster.tenantKeys["taxly"]}`, "content-type": "application/json" },
        });
      expect((await send(`{"model":"demo-base","messages":${"[".repeat(500_000)}`)).status).toBe(400);
      expect((await send("{}", "nowhere")).status).toBe(404);
    });
  });

  describe("limits", () => {
    test("are told with every answer, and refuse with advice that the client follows", async () => {
      const key = await door().newTenant("hasty", { limits: { requestsPerMinute: 60 } });
      const openai = door().clientOf(key);
      const { response } = await openai.completions.create(short).withResponse();
      expect(response.headers.get("x-ratelimit-limit-requests")).toBe("60");
      expect(response.headers.get("x-ratelimit-remaining-requests")).toBe("59");
      expect(response.headers.get("x-ratelimit-reset-requests")).toMatch(/^\d+(ms|s)$/);
      let refusal: unknown;
      for (let asked = 0; asked < 200 && !refusal; asked++) {
        const asking = Array.from({ length: 20 }, () => openai.completions.create({ ...short, max_tokens: 1 }));
        const settled = await Promise.allSettled(asking);
        refusal = settled.find((each) => each.status === "rejected")?.reason;
      }
      expect(refusal).toBeInstanceOf(RateLimitError);
      const { headers } = refusal as RateLimitError;
      expect(headers!.get("x-ratelimit-remaining-requests")).toBe("0");
      expect(headers!.get("x-should-retry")).toBe("true");
      expect(Number(headers!.get("retry-after-ms"))).toBeGreaterThan(0);
      const patient = await door().clientOf(key, { maxRetries: 5 }).completions.create(short);
      expect(patient.choices).toHaveLength(1);
    });

    test("do not stop a batch that is larger than what may run at once", async () => {
      const openai = door().clientOf(await door().newTenant("narrow", { limits: { concurrentRequests: 2 } }));
      const answer = await openai.completions.create({ ...short, prompt: Array<string>(10).fill("Hi"), temperature: 0 });
      expect(new Set(answer.choices.map(({ text }) => text)).size).toBe(1);
      expect(answer.choices).toHaveLength(10);
    });

    test("that only money lifts are not retried", async () => {
      const budget = { usd: "0.000000001", period: BudgetPeriod.BUDGET_PERIOD_EVER };
      const openai = door().clientOf(await door().newTenant("broke", { budget }), { maxRetries: 5 });
      const asking = openai.completions.create(short);
      await expect(asking).rejects.toMatchObject({ status: 429, code: "insufficient_quota", type: "insufficient_quota" });
    });
  });

  describe("idempotency keys", () => {
    test("give the same answer to the same question, once generated and once charged", async () => {
      const openai = door().clientOf(await door().newTenant("careful"));
      const ask = { ...short, temperature: 1.5, max_tokens: 12 };
      const headers = { "idempotency-key": `order-${door().cluster.home}` };
      const first = await openai.completions.create(ask, { headers });
      const again = await openai.completions.create(ask, { headers });
      expect(again).toMatchObject({ id: first.id, choices: first.choices, usage: first.usage });
      expect(again._request_id).not.toBe(first._request_id);
      await expect(openai.completions.create({ ...ask, max_tokens: 13 }, { headers })).rejects.toMatchObject({
        ...{ status: 409, code: "idempotency_key_reused" },
      });
      const charged = async () => {
        const { data } = await openai.admin.organization.usage.completions({ start_time: Math.floor(Date.now() / 1000) - 3_600 });
        return data.flatMap(({ results }) => results);
      };
      const due = { num_model_requests: 1, input_tokens: first.usage!.prompt_tokens, output_tokens: first.usage!.completion_tokens };
      await expect.poll(charged, { timeout: 15_000 }).toMatchObject([due]);
    });

    test("let the client that comes too early wait for the answer", async () => {
      const openai = door().client("shopkit", { maxRetries: 10 });
      const ask = { ...short, temperature: 1.5, max_tokens: 64, ignore_eos: true };
      const headers = { "idempotency-key": `twins-${door().cluster.home}` };
      const [one, other] = await Promise.all([openai.completions.create(ask, { headers }), openai.completions.create(ask, { headers })]);
      expect(other.choices).toEqual(one.choices);
    });
  });
}

/** The last thing that is asked of a cluster: its nodes are gone after it. */
export function emptyClusterCases(door: () => Door): void {
  test("a cluster without nodes says so, and is asked again", async () => {
    const { cluster, admin } = door();
    for (const nodeId of Object.keys(cluster.nodePids())) await admin.unary(AdminServiceService.drainNode, { nodeId });
    let asked = 0;
    const counting: typeof fetch = (...request) => {
      asked++;
      return fetch(...request);
    };
    const openai = door().client("taxly", { maxRetries: 1, fetch: counting });
    await expect
      .poll(() => openai.completions.create({ model: "demo-base", prompt: "Hi" }).catch((error: unknown) => error), { timeout: 10_000 })
      .toBeInstanceOf(InternalServerError);
    asked = 0;
    await expect(openai.completions.create({ model: "demo-base", prompt: "Hi" })).rejects.toMatchObject({
      status: 503,
      code: "no_ready_node",
    });
    expect(asked).toBe(2);
  });
}
