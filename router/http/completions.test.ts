import { afterEach, describe, expect, test } from "vitest";
import { Fault, type RequestId } from "#kernel";
import { FinishReason, type GenerateRequest, type GenerateResponse } from "#proto";
import { pieces, type Script, token } from "./testing/scripted-core.ts";
import { openScriptedDoor, type ScriptedDoor } from "./testing/scripted-door.ts";

let door: ScriptedDoor | undefined;
afterEach(async () => {
  await door?.[Symbol.asyncDispose]();
});

async function serve(script: Script) {
  door = await openScriptedDoor(script);
  return door.openai;
}

const MODEL = "acme/bot";
/** What the core says has answered. */
const EXACT = "ft:demo-base:acme:bot:0123abcd";
const promptText = ({ prompt }: GenerateRequest) => {
  const kind = prompt!.kind!;
  return kind.$case === "text" ? kind.value : kind.$case === "tokens" ? kind.value.ids.join(",") : kind.$case;
};

interface Asked {
  readonly request: GenerateRequest;
  readonly requestId: RequestId;
}

/** Answers `<prompt>/<choice>` in two tokens per choice, echoes when asked, and writes down what was asked. */
function echoing(asked: Asked[] = []): Script {
  return {
    async *generate(request, _signal, _onAdmitted, requestId) {
      asked.push({ request, requestId });
      const said = promptText(request);
      const choices = Array.from({ length: request.sampling?.n ?? 1 }, (_, index) => index);
      let tokens = 0;
      for (const part of [0, 1]) {
        // The last choice first: the prompt comes with the first choice, not with the first piece.
        for (const choice of choices.toReversed()) {
          const text = part === 0 ? said : `/${choice}`;
          const [piece] = pieces([text], { requestId, choice, logprobs: [token(text, part, -1 - ((choice * 7) % 4))] });
          yield {
            ...piece!,
            finishReason: part === 0 ? FinishReason.FINISH_REASON_UNSPECIFIED : FinishReason.FINISH_REASON_STOP,
            usage: { promptTokens: 3, cachedTokens: 1, completionTokens: ++tokens },
            prompt: request.echo && part === 0 && choice === 0 ? [token("<s>"), token("as"), token("k")] : [],
          };
        }
      }
    },
    async score(request, requestId) {
      const tokens = [token("<s>"), token(promptText({ ...request } as never))];
      return { requestId, model: EXACT, tokens, usage: { promptTokens: 2, cachedTokens: 0, completionTokens: 0 } };
    },
  };
}

describe("prompts", () => {
  test.each([
    ["a text", "ask", ["ask/0"]],
    ["texts", ["a", "b"], ["a/0", "b/0"]],
    ["token ids", [1, 2], ["1,2/0"]],
    ["lists of token ids", [[1, 2], [3]], ["1,2/0", "3/0"]],
    ["nothing, a text from its beginning", null, ["start/0"]],
  ])("%s", async (_, prompt, texts) => {
    const openai = await serve(echoing());
    const answer = await openai.completions.create({ model: MODEL, prompt: prompt as string });
    expect(answer.choices.map(({ index, text }) => [index, text])).toEqual(texts.map((text, index) => [index, text]));
  });

  test.each([
    ["prompt", undefined],
    ["prompt", []],
    ["prompt", 5],
    ["prompt", { text: "x" }],
    ["prompt[1]", [1, 1.5]],
    ["prompt[0]", [-1]],
    ["prompt[1]", ["a", 5]],
    ["prompt[1]", [[1], "a"]],
    ["prompt[1]", [[1], []]],
    ["prompt[1][0]", [[1], [-1]]],
  ])("%s is at fault in %j", async (param, prompt) => {
    const openai = await serve(echoing());
    await expect(openai.completions.create({ model: MODEL, prompt: prompt as never })).rejects.toMatchObject({ status: 400, param });
  });

  test("are at most 128", async () => {
    const openai = await serve(echoing());
    const prompt = Array<string>(129).fill("x");
    await expect(openai.completions.create({ model: MODEL, prompt })).rejects.toMatchObject({ status: 400, param: "prompt" });
  });

  test("of several are numbered one prompt after the other, with their choices, and are billed together", async () => {
    const asked: Asked[] = [];
    const openai = await serve(echoing(asked));
    const answer = await openai.completions.create({ model: MODEL, prompt: ["a", "b", "c"], n: 2 });
    expect(answer.choices.map(({ index, text }) => [index, text])).toEqual(
      ["a/0", "a/1", "b/0", "b/1", "c/0", "c/1"].map((text, index) => [index, text]),
    );
    expect(answer.usage).toMatchObject({
      prompt_tokens: 9,
      completion_tokens: 12,
      total_tokens: 21,
      prompt_tokens_details: { cached_tokens: 3 },
    });
    const id = answer._request_id!;
    expect(asked.map(({ requestId }) => requestId)).toEqual([`${id}-0`, `${id}-1`, `${id}-2`]);
    expect(answer.id).toBe(`cmpl-${id}`);
  });

  test("of several give the same texts streamed as whole, and the same usage", async () => {
    const openai = await serve(echoing());
    const texts: string[] = [];
    let usage: unknown;
    const ask = { model: MODEL, prompt: ["a", "b", "c"], n: 2, stream_options: { include_usage: true } };
    for await (const chunk of await openai.completions.create({ ...ask, stream: true })) {
      for (const { index, text } of chunk.choices) texts[index] = (texts[index] ?? "") + text;
      usage = chunk.usage ?? usage;
    }
    expect(texts).toEqual(["a/0", "a/1", "b/0", "b/1", "c/0", "c/1"]);
    expect(usage).toMatchObject({ prompt_tokens: 9, completion_tokens: 12 });
  });

  test("of which one is at fault are answered all or not at all, and the others stop", async () => {
    let stopped = 0;
    const openai = await serve({
      async *generate(request, signal) {
        await new Promise((resolve) => setImmediate(resolve));
        if (promptText(request) === "bad") throw new Fault("context_too_long", "too long", { detail: { field: "prompt.text" } });
        if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        stopped++;
        throw signal.reason;
      },
    });
    await expect(openai.completions.create({ model: MODEL, prompt: ["a", "bad", "c"] })).rejects.toMatchObject({
      ...{ status: 400, code: "context_length_exceeded", param: "prompt[1]" },
    });
    expect(stopped).toBe(2);
  });

  test("that do not fit beside their own siblings are asked again after them", async () => {
    let running = 0;
    let most = 0;
    const openai = await serve({
      async *generate(request, _signal, _onAdmitted, requestId) {
        if (running >= 3) throw new Fault("queue_full", "no room");
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 1));
        yield* pieces([promptText(request)], { requestId });
        running--;
      },
    });
    const prompts = Array.from({ length: 20 }, (_, index) => `p${index}`);
    const answer = await openai.completions.create({ model: MODEL, prompt: prompts });
    expect(answer.choices.map(({ text }) => text)).toEqual(prompts);
    expect(most).toBe(3);
  });
});

describe("best_of", () => {
  test("answers with the likeliest on average, and bills all", async () => {
    const asked: Asked[] = [];
    const openai = await serve(echoing(asked));
    const answer = await openai.completions.create({ model: MODEL, prompt: "ask", n: 2, best_of: 4 });
    // By the script the choices' tokens have -1, -4, -3 and -2.
    expect(answer.choices.map(({ index, text, logprobs }) => [index, text, logprobs])).toEqual([
      [0, "ask/0", null],
      [1, "ask/3", null],
    ]);
    expect(answer.usage?.completion_tokens).toBe(8);
    expect(asked[0]!.request.sampling).toMatchObject({ n: 4, logprobs: 0 });
  });

  test.each([
    [{ n: 3, best_of: 2 }, "best_of"],
    [{ best_of: 2, stream: true }, "best_of"],
    [{ best_of: 17 }, "best_of"],
    [{ best_of: 0 }, "best_of"],
    [{ best_of: 2, echo: true, max_tokens: 0 }, "best_of"],
    [{ n: 2, echo: true, max_tokens: 0 }, "n"],
    [{ best_of: 16, prompt: Array(9).fill("x") }, "prompt"],
    [{ logprobs: 6 }, "logprobs"],
    [{ suffix: "end" }, "suffix"],
  ])("%j is refused", async (changes, param) => {
    const openai = await serve(echoing());
    const create = openai.completions.create({ model: MODEL, prompt: "ask", ...changes } as never) as Promise<unknown>;
    await expect(create).rejects.toMatchObject({ status: 400, param });
  });
});

describe("echo", () => {
  test("puts the prompt before each choice", async () => {
    const openai = await serve(echoing());
    const answer = await openai.completions.create({ model: MODEL, prompt: "ask", n: 2, echo: true });
    expect(answer.choices.map(({ text, logprobs }) => [text, logprobs])).toEqual([
      ["askask/0", null],
      ["askask/1", null],
    ]);
  });

  test("with log-probabilities covers prompt and completion, the first token without one, streamed and whole alike", async () => {
    const openai = await serve(echoing());
    const ask = { model: MODEL, prompt: "ask", n: 2, echo: true, logprobs: 1 };
    const whole = await openai.completions.create(ask);
    expect(whole.choices[0]!.logprobs).toEqual({
      tokens: ["<s>", "as", "k", "ask", "/0"],
      token_logprobs: [null, -0.5, -0.5, -1, -1],
      top_logprobs: [null, { "?": -2, as: -0.5 }, { "?": -2, k: -0.5 }, { "?": -2, ask: -1 }, { "?": -2, "/0": -1 }],
      text_offset: [0, 0, 2, 3, 6],
    });
    const streamed: { text: string; offsets: number[] }[] = [];
    for await (const chunk of await openai.completions.create({ ...ask, stream: true })) {
      const { index, text, logprobs } = chunk.choices[0]!;
      streamed[index] ??= { text: "", offsets: [] };
      streamed[index].text += text;
      streamed[index].offsets.push(...logprobs!.text_offset!);
    }
    expect(streamed).toEqual(whole.choices.map(({ text, logprobs }) => ({ text, offsets: logprobs!.text_offset })));
  });

  test("with no tokens to make scores the prompt, whole and streamed", async () => {
    const openai = await serve(echoing());
    const ask = { model: MODEL, prompt: ["ab", "c"], echo: true, max_tokens: 0, logprobs: 0 };
    const whole = await openai.completions.create(ask);
    expect(whole.choices).toMatchObject([
      {
        index: 0,
        text: "ab",
        finish_reason: "length",
        logprobs: { tokens: ["<s>", "ab"], token_logprobs: [null, -0.5], text_offset: [0, 0] },
      },
      { index: 1, text: "c", finish_reason: "length" },
    ]);
    expect(whole.usage).toMatchObject({ prompt_tokens: 4, completion_tokens: 0 });
    expect(whole.model).toBe(EXACT);
    const texts: string[] = [];
    for await (const chunk of await openai.completions.create({ ...ask, stream: true }))
      for (const { index, text } of chunk.choices) texts[index] = (texts[index] ?? "") + text;
    expect(texts).toEqual(["ab", "c"]);
    const keyed = openai.completions.create(ask, { headers: { "idempotency-key": "k" } });
    await expect(keyed).rejects.toMatchObject({ status: 400, param: "idempotency-key" });
  });
});

test("an idempotency key reaches the core as it is, and each further prompt with one of its own", async () => {
  const asked: Asked[] = [];
  const openai = await serve(echoing(asked));
  const ask = async (prompt: string[], key?: string) => {
    asked.length = 0;
    await openai.completions.create({ model: MODEL, prompt }, key === undefined ? {} : { headers: { "idempotency-key": key } });
    return asked.map(({ request }) => request.idempotencyKey);
  };
  expect(await ask(["a"])).toEqual([""]);
  const keys = await ask(["a", "b", "c"], "order 66");
  expect([keys[0], new Set(keys).size]).toEqual(["order 66", 3]);
  expect(await ask(["a", "b", "c"], "order 66")).toEqual(keys);
});

test("usage so far comes with every chunk when asked for", async () => {
  const openai = await serve(echoing());
  const options = { include_usage: true, continuous_usage_stats: true };
  const counts: (number | undefined)[] = [];
  for await (const chunk of await openai.completions.create({
    model: MODEL,
    prompt: "ask",
    stream: true,
    stream_options: options as object,
  }))
    counts.push(chunk.usage?.completion_tokens);
  expect(counts).toEqual([1, 2, 2]);
});

test("log-probabilities that JSON has no word for are OpenAI's least, and parts of characters are told by their bytes", async () => {
  const half = { ...token("\ufffd", 1, Number.NEGATIVE_INFINITY), raw: Buffer.from([0xc3]) };
  const said: GenerateResponse[] = pieces(["é"], { logprobs: [half, { ...half, tokenId: 2, raw: Buffer.from([0xa9]) }] });
  const openai = await serve({
    async *generate() {
      yield* said;
    },
  });
  const answer = await openai.completions.create({ model: MODEL, prompt: "x", logprobs: 1 });
  expect(answer.choices[0]!.logprobs).toMatchObject({
    token_logprobs: [-9999, -9999],
    top_logprobs: [{ "bytes:\\xc3": -9999 }, { "bytes:\\xa9": -9999 }],
    text_offset: [0, 1],
  });
  const chat = await openai.chat.completions.create({ model: MODEL, messages: [{ role: "user", content: "x" }], logprobs: true });
  expect(chat.choices[0]!.logprobs!.content!.map(({ logprob, bytes }) => [logprob, bytes])).toEqual([
    [-9999, [0xc3]],
    [-9999, [0xa9]],
  ]);
});
