import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { Fault, systemClock, VirtualClock } from "#kernel";
import { HTTP_ROUTES, methodsOf, type RouteScope } from "./routes.ts";
import { pieces, type Script } from "./testing/scripted-core.ts";
import { openScriptedDoor, type ScriptedDoor } from "./testing/scripted-door.ts";

let door: ScriptedDoor;
afterEach(async () => {
  await door?.[Symbol.asyncDispose]();
});

const SAYS: Script = {
  async *generate(_request, _signal, onAdmitted, requestId) {
    const meters = [
      { meter: "requests", left: 9, limit: 10, fullInMs: 6_000 },
      { meter: "tokens_in", left: 500, limit: 1000, fullInMs: 12 },
    ];
    onAdmitted({ requestId, meters });
    yield* pieces(["Hel", "lo"], { requestId });
  },
};
const CHAT = JSON.stringify({ model: "acme/bot", messages: [{ role: "user", content: "hi" }] });

const ask = (
  path: string,
  options: { method?: string; key?: string | null; body?: string | Buffer; headers?: Record<string, string> } = {},
) => {
  const { method = "POST", key = "good", body, headers } = options;
  const given = {
    ...(key !== null && { authorization: `Bearer ${key}` }),
    ...(body !== undefined && { "content-type": "application/json" }),
  };
  return fetch(`${door.url}${path}`, { method, headers: { ...given, ...headers }, ...(body !== undefined && { body: body as string }) });
};
const errorOf = async (response: Response) => ((await response.json()) as { error: Record<string, unknown> }).error;

describe("every answer", () => {
  test("says which request it is to, how long it took, and whose it is, whole, streamed and refused", async () => {
    door = await openScriptedDoor(SAYS);
    const answers = [
      await ask("/v1/chat/completions", { body: CHAT }),
      await ask("/v1/chat/completions", { body: JSON.stringify({ ...JSON.parse(CHAT), stream: true }) }),
      await ask("/v1/chat/completions", { body: "{" }),
      await ask("/v1/models", { method: "GET" }),
    ];
    const anonymous = [
      await ask("/v1/models", { method: "GET", key: null }),
      await ask("/nowhere", { method: "GET" }),
      await ask("/v1/models", { method: "PUT" }),
      await ask("/healthz", { method: "GET", key: null }),
    ];
    const ids = [...answers, ...anonymous].map(({ headers }) => headers.get("x-request-id"));
    for (const id of ids) expect(id).toMatch(/^req_[0-9a-f]{32}$/);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { headers } of [...answers, ...anonymous]) expect(headers.get("openai-processing-ms")).toMatch(/^\d+$/);
    expect(answers.map(({ headers }) => headers.get("openai-organization"))).toEqual(Array(4).fill("acme"));
    expect(anonymous.map(({ headers }) => headers.get("openai-organization"))).toEqual(Array(4).fill(null));
    await Promise.all([...answers, ...anonymous].map((answer) => answer.text()));
  });

  test("to a request that was let in tells what is left of the limits", async () => {
    door = await openScriptedDoor(SAYS);
    for (const stream of [false, true]) {
      const answer = await ask("/v1/chat/completions", { body: JSON.stringify({ ...JSON.parse(CHAT), stream }) });
      const limits = ["requests", "tokens"].map((what) =>
        ["limit", "remaining", "reset"].map((of) => answer.headers.get(`x-ratelimit-${of}-${what}`)),
      );
      expect(limits).toEqual([
        ["10", "9", "6s"],
        ["1000", "500", "12ms"],
      ]);
      await answer.text();
    }
  });
});

describe("refused, with all four keys of OpenAI's error:", () => {
  const refused: readonly [string, string, Parameters<typeof ask>[1], number, string][] = [
    ["no such route", "/v1/embeddings", { body: "{}" }, 404, "unknown_url"],
    ["a wrong method", "/v1/chat/completions", { method: "GET" }, 405, "method_not_supported"],
    ["a method that nothing has", "/v1/files/file-1", { method: "PATCH" }, 405, "method_not_supported"],
    ["a browser's question", "/v1/chat/completions", { method: "OPTIONS" }, 405, "method_not_supported"],
    [
      "another type of body",
      "/v1/chat/completions",
      { body: "a=b", headers: { "content-type": "text/csv" } },
      415,
      "unsupported_content_type",
    ],
    [
      "a form where JSON is due",
      "/v1/completions",
      { body: "--x--", headers: { "content-type": "multipart/form-data; boundary=x" } },
      415,
      "unsupported_content_type",
    ],
    ["JSON where a form is due", "/v1/files", { body: "{}" }, 415, "unsupported_content_type"],
    ["half a body", "/v1/chat/completions", { body: "{" }, 400, "message_malformed"],
    ["a body nested too deep", "/v1/chat/completions", { body: `{"a":${"[".repeat(100_000)}` }, 400, "message_malformed"],
    ["no body", "/v1/chat/completions", {}, 400, "message_malformed"],
    ["5 MB", "/v1/chat/completions", { body: JSON.stringify({ user: "x".repeat(5_000_000) }) }, 413, "message_too_large"],
    ["a URL that is none", "/v1/models/%ff%", { method: "GET" }, 400, "message_malformed"],
    ["no key", "/v1/models", { method: "GET", key: null }, 401, "invalid_api_key"],
    ["a key for something else", "/v1/files", { method: "GET", key: "infer" }, 403, "scope_missing"],
    ["half a character in a name", "/v1/chat/completions", { body: '{"model":"\\ud800","messages":[]}' }, 400, "invalid_value"],
  ];
  test.each(refused)("%s", async (_, path, options, status, code) => {
    door = await openScriptedDoor(SAYS);
    const answer = await ask(path, options);
    const error = await errorOf(answer);
    expect([answer.status, error["code"], error["type"]]).toEqual([status, code, "invalid_request_error"]);
    expect(Object.keys(error).sort()).toEqual(["code", "message", "param", "type"]);
    expect([answer.headers.get("x-should-retry"), answer.headers.get("access-control-allow-origin")]).toEqual(["false", null]);
    if (status === 405) expect(answer.headers.get("allow")).toBe(methodsOf(path).join(", "));
  });

  test("HEAD, without a body", async () => {
    door = await openScriptedDoor(SAYS);
    const answer = await ask("/v1/models", { method: "HEAD" });
    expect([answer.status, await answer.text()]).toEqual([405, ""]);
  });

  test("what is no HTTP at all", async () => {
    door = await openScriptedDoor(SAYS);
    const { hostname, port } = new URL(door.url);
    const said = await new Promise<string>((resolve) => {
      let text = "";
      const socket = connect(Number(port), hostname, () => socket.write("hello?\r\n\r\n"));
      socket.on("data", (chunk) => {
        text += chunk.toString();
      });
      socket.once("close", () => resolve(text));
    });
    expect(said).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/);
    expect(said).toMatch(/x-request-id: req_[0-9a-f]{32}\r\n/);
    expect(JSON.parse(said.split("\r\n\r\n")[1]!)).toMatchObject({ error: { code: "message_malformed", param: null } });
  });

  test("whoever has no key, before its body is read", async () => {
    door = await openScriptedDoor(SAYS);
    const answer = await ask("/v1/chat/completions", { key: "bad", body: "{ this is not JSON" });
    expect(answer.status).toBe(401);
  });

  test.each([
    ["rate_exceeded", 1_500.5, ["1501", "2", "true"]],
    ["queue_full", 20, ["20", "1", "true"]],
    ["budget_spent", undefined, [null, null, "false"]],
  ] as const)("%s, with advice when to come again", async (reason, waitMs, advice) => {
    door = await openScriptedDoor({
      // biome-ignore lint/correctness/useYield: a generation that fails before its first piece.
      async *generate() {
        throw new Fault(reason, "no", waitMs === undefined ? {} : { retry: { kind: "after", waitMs } });
      },
    });
    const answer = await ask("/v1/chat/completions", { body: CHAT });
    expect(answer.status).toBe(429);
    expect(["retry-after-ms", "retry-after", "x-should-retry"].map((name) => answer.headers.get(name))).toEqual(advice);
  });
});

/** Whose keys get past which rule. */
const ADMITTED: Readonly<Record<RouteScope, readonly string[]>> = {
  public: ["nobody", "infer", "train", "operator"],
  key: ["infer", "train", "operator"],
  infer: ["infer", "operator"],
  train: ["train", "operator"],
  operator: ["operator"],
};

test("every route with a rule is served, and asks for its scope", async () => {
  door = await openScriptedDoor(SAYS);
  for (const { method, path, scope } of HTTP_ROUTES) {
    const url = path.replace(/:\w+/, "file-1").replace("*", "acme/bot");
    for (const key of ["nobody", "infer", "train", "operator"]) {
      const { status } = await ask(url, { method, key: key === "nobody" ? null : key });
      const what = `${method} ${path} for ${key}`;
      if (ADMITTED[scope].includes(key)) expect([401, 403, 405], what).not.toContain(status);
      else expect(status, what).toBe(key === "nobody" ? 401 : 403);
    }
  }
});

describe("a stream", () => {
  const streamed = JSON.stringify({ ...JSON.parse(CHAT), stream: true });

  test("whose first token is late gets its headers, and comments while it waits", async () => {
    const clock = new VirtualClock();
    const go = Promise.withResolvers<void>();
    const admitted = Promise.withResolvers<void>();
    door = await openScriptedDoor(
      {
        async *generate(_request, _signal, onAdmitted, requestId) {
          onAdmitted({ requestId, meters: [] });
          admitted.resolve();
          await go.promise;
          yield* pieces(["late"], { requestId });
        },
      },
      { clock },
    );
    const answering = ask("/v1/chat/completions", { body: streamed });
    await admitted.promise;
    await clock.advance(10_000);
    const answer = await answering;
    expect(answer.status).toBe(200);
    await clock.advance(30_000);
    go.resolve();
    const said = await answer.text();
    expect(said).toMatch(/^(: keep-alive\n\n){3,5}data: \{/);
    expect(said).toMatch(/"late"[\s\S]*data: \[DONE\]\n\n$/);
  });

  test("that is not let in is refused with a status, however long that takes", async () => {
    const clock = new VirtualClock();
    const asked = Promise.withResolvers<void>();
    door = await openScriptedDoor(
      {
        // biome-ignore lint/correctness/useYield: a generation that fails before its first piece.
        async *generate() {
          asked.resolve();
          await clock.after(60_000);
          throw new Fault("queue_full", "still no room");
        },
      },
      { clock },
    );
    const answering = ask("/v1/chat/completions", { body: streamed });
    await asked.promise;
    await clock.advance(60_000);
    expect((await answering).status).toBe(429);
  });

  test("that fails after its headers ends with an error object, not with [DONE]", async () => {
    door = await openScriptedDoor({
      async *generate() {
        yield pieces(["a", "b"])[0]!;
        throw new Fault("no_ready_node", "all nodes are gone");
      },
    });
    const said = await (await ask("/v1/chat/completions", { body: streamed })).text();
    expect(said).not.toContain("[DONE]");
    expect(JSON.parse(said.trim().split("\n\n").at(-1)!.slice("data: ".length))).toEqual({
      error: { message: "all nodes are gone", type: "service_unavailable_error", param: null, code: "no_ready_node" },
    });
  });

  test("is not told to whom left: nothing runs on", async () => {
    const ended = Promise.withResolvers<unknown>();
    door = await openScriptedDoor({
      async *generate(_request, signal) {
        try {
          for (;;) {
            yield pieces(["a", "b"])[0]!;
            await systemClock.after(5, signal);
          }
        } finally {
          ended.resolve(signal.reason);
        }
      },
    });
    const leave = new AbortController();
    const answer = await fetch(`${door.url}/v1/chat/completions`, {
      ...{ method: "POST", body: streamed, signal: leave.signal },
      headers: { authorization: "Bearer good", "content-type": "application/json" },
    });
    await answer.body!.getReader().read();
    leave.abort();
    expect(await ended.promise).toMatchObject({ reason: "client_gone" });
  });
});

test("a drain does not wait for connections on which nobody has asked anything", async () => {
  door = await openScriptedDoor(SAYS, { clock: new VirtualClock() }); // Nobody moves it: the time for running answers never ends.
  const { hostname, port } = new URL(door.url);
  const silent = connect(Number(port), hostname);
  const idle = connect(Number(port), hostname);
  const closed = Promise.all([silent, idle].map((socket) => new Promise((resolve) => socket.once("close", resolve))));
  idle.write("GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n");
  await new Promise((resolve) => idle.once("data", resolve));
  await door[Symbol.asyncDispose]();
  await closed;
});
