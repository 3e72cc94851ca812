import type OpenAI from "openai";
import { AuthenticationError, BadRequestError, NotFoundError, RateLimitError } from "openai";
import { afterEach, describe, expect, test } from "vitest";
import { Fault, systemClock } from "#kernel";
import type { GenerateRequest, GenerateResponse } from "#proto";
import { pieces, type Script } from "./testing/scripted-core.ts";
import { openScriptedDoor, type ScriptedDoor } from "./testing/scripted-door.ts";

let door: ScriptedDoor | undefined;
afterEach(async () => {
  await door?.[Symbol.asyncDispose]();
});

async function serve(script: Script): Promise<OpenAI> {
  door = await openScriptedDoor(script);
  return door.openai;
}

async function* each(items: readonly GenerateResponse[]) {
  yield* items;
}

const says = (...texts: string[]): Script => ({ generate: () => each(pieces(texts)) });
const fails = (fault: Fault): Script => ({
  // biome-ignore lint/correctness/useYield: a generation that fails before its first piece.
  async *generate() {
    throw fault;
  },
});
const ask = { model: "acme/bot", messages: [{ role: "user" as const, content: "hi" }] };

describe("the official client", () => {
  test("gets a chat completion whole", async () => {
    const openai = await serve(says("Hel", "lo"));
    const answer = await openai.chat.completions.create(ask);
    expect(answer.choices).toEqual([
      { index: 0, message: { role: "assistant", content: "Hello", refusal: null }, logprobs: null, finish_reason: "stop" },
    ]);
    expect(answer.usage).toMatchObject({ prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 });
    expect(answer.id).toBe("chatcmpl-req_1");
    expect(answer._request_id).toMatch(/^req_[0-9a-f]{32}$/);
    expect(answer.system_fingerprint).toBe("fp_test");
  });

  test("gets chat chunks in OpenAI's order: role, contents, finish, usage", async () => {
    const openai = await serve(says("Hel", "lo"));
    const chunks = [];
    for await (const chunk of await openai.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } }))
      chunks.push(chunk);
    expect(chunks.map((chunk) => [chunk.choices[0]?.delta, chunk.choices[0]?.finish_reason, chunk.usage])).toEqual([
      [{ role: "assistant", content: "" }, null, null],
      [{ content: "Hel" }, null, null],
      [{ content: "lo" }, null, null],
      [{}, "stop", null],
      [undefined, undefined, expect.objectContaining({ total_tokens: 7 })],
    ]);
    expect(new Set(chunks.map((chunk) => chunk.id)).size).toBe(1);
  });

  test("gets a completion with log-probabilities and offsets, streamed and whole alike", async () => {
    const openai = await serve(says("ab", "c"));
    const whole = await openai.completions.create({ model: "acme/bot", prompt: "x", logprobs: 1 });
    expect(whole.choices[0]?.logprobs).toEqual({
      tokens: ["ab", "c"],
      token_logprobs: [-0.5, -0.5],
      top_logprobs: [
        { "?": -2, ab: -0.5 },
        { "?": -2, c: -0.5 },
      ],
      text_offset: [0, 2],
    });
    const offsets = [];
    for await (const chunk of await openai.completions.create({ model: "acme/bot", prompt: "x", logprobs: 1, stream: true })) {
      offsets.push(...(chunk.choices[0]?.logprobs?.text_offset ?? []));
    }
    expect(offsets).toEqual([0, 2]);
  });

  test("lists models, and finds one whose name has a slash", async () => {
    const openai = await serve(says("x"));
    const models = await openai.models.list();
    expect(models.data.map((model) => model.id)).toEqual(["acme/bot"]);
    expect(await openai.models.retrieve("acme/bot")).toMatchObject({ id: "acme/bot", parent: "demo-base" });
    await expect(openai.models.retrieve("acme/other")).rejects.toThrow(NotFoundError);
  });

  test("gets its own error classes, with the field at fault", async () => {
    const openai = await serve(fails(new Fault("context_too_long", "too long", { detail: { field: "prompt" } })));
    await expect(openai.chat.completions.create(ask)).rejects.toMatchObject({
      status: 400,
      code: "context_length_exceeded",
      param: "messages",
    });
    await expect(openai.chat.completions.create({ ...ask, model: "other/bot" })).rejects.toMatchObject({
      status: 404,
      code: "model_not_found",
    });
    const stranger = openai.withOptions({ apiKey: "bad" });
    await expect(stranger.chat.completions.create(ask)).rejects.toThrow(AuthenticationError);
    const tools = [{ type: "function" as const, function: { name: "f" } }];
    await expect(openai.chat.completions.create({ ...ask, tools })).rejects.toMatchObject({
      code: "unsupported_parameter",
      param: "tools",
    });
    await expect(openai.chat.completions.create({ ...ask, temperature: "hot" as never })).rejects.toThrow(BadRequestError);
  });

  test("retries a full queue as long as it is told to, and then succeeds", async () => {
    let calls = 0;
    const openai = await serve({
      async *generate() {
        calls++;
        if (calls === 1) throw new Fault("queue_full", "busy", { retry: { kind: "after", waitMs: 5 } });
        yield* pieces(["ok"]);
      },
    });
    const answer = await openai.withOptions({ maxRetries: 1 }).chat.completions.create(ask);
    expect([calls, answer.choices[0]?.message.content]).toEqual([2, "ok"]);
  });

  test("is told not to retry what no retry will mend", async () => {
    const openai = await serve(fails(new Fault("budget_spent", "no money")));
    await expect(openai.withOptions({ maxRetries: 3 }).chat.completions.create(ask)).rejects.toThrow(RateLimitError);
  });

  test("learns of a fault in the middle of a stream", async () => {
    const openai = await serve({
      async *generate() {
        yield pieces(["a", "b"])[0]!;
        throw new Fault("no_ready_node", "all nodes are gone");
      },
    });
    const read = async () => {
      for await (const _ of await openai.chat.completions.create({ ...ask, stream: true }));
    };
    await expect(read()).rejects.toThrow("all nodes are gone");
  });
});

test("the sampling fields reach the core in the wire's words", async () => {
  const seen: GenerateRequest[] = [];
  const openai = await serve({
    generate(request) {
      seen.push(request);
      return each(pieces(["x"]));
    },
  });
  await openai.completions.create({
    model: "acme/bot",
    prompt: [1, 2],
    seed: -1,
    stop: "END",
    logit_bias: { "7": -100 },
    n: 2,
    top_p: 0.5,
  });
  expect(seen[0]).toMatchObject({
    prompt: { kind: { $case: "tokens", value: { ids: [1, 2] } } },
    sampling: { seed: "18446744073709551615", stop: ["END"], logitBias: { 7: -100 }, n: 2, topP: 0.5, maxTokens: 16 },
  });
});

test("a client that leaves aborts the generation", async () => {
  const aborted = Promise.withResolvers<unknown>();
  const openai = await serve({
    async *generate(_request, signal) {
      signal.addEventListener("abort", () => aborted.resolve(signal.reason));
      yield pieces(["a", "b"])[0]!;
      await aborted.promise;
      throw signal.reason;
    },
  });
  const stream = await openai.chat.completions.create({ ...ask, stream: true });
  for await (const _ of stream) break;
  expect(await aborted.promise).toMatchObject({ reason: "client_gone" });
});

test("a client that never reads stops the generation from being pulled", async () => {
  let pulled = 0;
  const openai = await serve({
    async *generate(_request, signal) {
      const piece = { ...pieces(["x", "y"])[0]!, text: "z".repeat(64_000) };
      while (!signal.aborted && pulled < 10_000) {
        pulled++;
        yield piece;
      }
    },
  });
  const leave = new AbortController();
  const response = await fetch(`${openai.baseURL}/chat/completions`, {
    method: "POST",
    headers: { authorization: "Bearer good", "content-type": "application/json" },
    body: JSON.stringify({ ...ask, stream: true }),
    signal: leave.signal,
  });
  expect(response.status).toBe(200);
  let before = -1;
  while (pulled !== before) {
    before = pulled;
    await systemClock.after(200);
  }
  leave.abort();
  expect(pulled, "64 kB pieces pulled while nobody read").toBeLessThan(1_000);
});

test.each([
  ["a body of 5 MB", JSON.stringify({ ...ask, user: "x".repeat(5_000_000) }), 413, "message_too_large"],
  ["a body that is not JSON", "{", 400, "message_malformed"],
  ["a body that is a list", "[]", 400, "message_malformed"],
])("%s is refused", async (_name, body, status, code) => {
  const openai = await serve(says("x"));
  const response = await fetch(`${openai.baseURL}/chat/completions`, {
    method: "POST",
    headers: { authorization: "Bearer good", "content-type": "application/json" },
    body,
  });
  expect(response.status).toBe(status);
  expect(await response.json()).toMatchObject({ error: { code, type: "invalid_request_error", message: expect.any(String) } });
});
