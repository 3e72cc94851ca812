import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { type Claim, Fault } from "#kernel";
import { createDetokenizer } from "#model";
import { FinishReason, type NodeServiceGenerateRequest, type NodeServiceGenerateResponse } from "#proto";
import { choicesOf, type FakeHost, generateRequest, openFakeHost } from "../testing/fake-host.ts";
import { generate } from "./generation.ts";

const never = new AbortController().signal;

describe("generating", () => {
  let fake: FakeHost;
  beforeEach(async () => {
    fake = await openFakeHost();
  });

  const run = (request: NodeServiceGenerateRequest, signal = never) =>
    Array.fromAsync(generate(fake.deps, fake.host, request, undefined, signal)) as Promise<NodeServiceGenerateResponse[]>;
  const textOf = (tokenIds: readonly number[]) => {
    const detokenizer = createDetokenizer(fake.codec);
    return tokenIds.map((tokenId) => detokenizer.push(tokenId)).join("") + detokenizer.end();
  };
  const encode = async (text: string) => await fake.codec.encode(text, { addSpecialTokens: false });

  it("gives the text token by token with the request's cumulative usage, and the residency at first", async () => {
    const messages = await run(generateRequest());
    const [choice] = choicesOf(messages);
    expect(choice!.tokenIds).toHaveLength(12);
    expect(choice!.text).toBe(textOf(choice!.tokenIds));
    expect(choice!.finishReason).toBe(FinishReason.FINISH_REASON_LENGTH);
    expect(messages.map(({ usage }) => usage!.completionTokens)).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
    expect(messages.map(({ residency }) => residency)).toEqual(["slot", ...Array(11).fill("")]);
    expect(fake.endings).toEqual(["length"]);
  });

  it("writes the claim with the last message, and ends its stream when that is durable", async () => {
    const { promise: disk, resolve: written } = Promise.withResolvers<void>();
    const claims = { write: (claim: Claim) => disk.then(() => void fake.claims.push(claim)) };
    const messages = generate({ ...fake.deps, claims }, fake.host, generateRequest(), undefined, never);
    for (let last = false; !last; ) last = (await messages.next()).value!.finishReason !== FinishReason.FINISH_REASON_UNSPECIFIED;
    let ended = false;
    const end = messages.next().then(({ done }) => {
      ended = done === true;
    });
    await new Promise(setImmediate);
    expect([ended, fake.claims.length], "nothing ends before the disk has answered").toEqual([false, 0]);
    written();
    await end;
    expect(ended).toBe(true);
    expect(fake.claims).toMatchObject([
      {
        requestId: "request-1",
        tenantId: "acme",
        priceVersion: 3,
        usage: { completionTokens: 12 },
        outcome: "completed",
        nodeId: "node-1",
        admittedAt: 1000,
      },
    ]);
  });

  it("fails where the claim can't be written", async () => {
    const claims = { write: async () => Promise.reject(new Fault("store_unreachable", "the disk is gone")) };
    const messages = Array.fromAsync(generate({ ...fake.deps, claims }, fake.host, generateRequest(), undefined, never));
    await expect(messages).rejects.toMatchObject({ reason: "store_unreachable" });
  });

  it("says, to the reader and in the claim, how much of the prompt was found in the cache, once for all choices and attempts", async () => {
    fake.engine.reused = 2;
    const messages = await run(generateRequest({}, { n: 2 }));
    expect(new Set(messages.map(({ usage }) => usage!.cachedTokens))).toEqual(new Set([2]));
    expect(fake.claims.at(-1)!.usage).toMatchObject({ cachedTokens: 2 });
    expect(fake.usages.at(-1)).toMatchObject({ cachedTokens: 2 });
    const progress = [{ choice: 0, tokenIds: choicesOf(messages)[0]!.tokenIds.slice(0, 5), finished: false }];
    const resumed = await run(generateRequest({ attempt: 1, progress }));
    expect(resumed[0]!.usage, "the attempt that began it has said so").toMatchObject({ cachedTokens: 0, completionTokens: 6 });
  });

  it("ends at a token of the base's end, which counts but has no text", async () => {
    fake.engine.script = [...(await encode("Yes.")), 1];
    const [choice] = choicesOf(await run(generateRequest()));
    expect(choice!.text).toBe("Yes.");
    expect(choice!.finishReason).toBe(FinishReason.FINISH_REASON_STOP);
    expect(choice!.tokenIds.at(-1)).toBe(1);
  });

  it("goes on after it when asked to ignore it", async () => {
    fake.engine.script = [1, 1, 1];
    const [choice] = choicesOf(await run(generateRequest({}, { maxTokens: 3, ignoreEos: true })));
    expect(choice!.tokenIds).toEqual([1, 1, 1]);
    expect(choice!.finishReason).toBe(FinishReason.FINISH_REASON_LENGTH);
  });

  it("cuts the text where a stop string begins, counts the token that completed it, and gives the row up", async () => {
    fake.engine.script = await encode("one two three four five");
    const request = generateRequest({}, { maxTokens: 23, stop: ["three", "zzz"] });
    const messages: NodeServiceGenerateResponse[] = [];
    for await (const message of generate(fake.deps, fake.host, request, undefined, never)) {
      messages.push(message);
      expect(fake.engine.aborts).toBe(message.finishReason ? 1 : 0);
    }
    const [choice] = choicesOf(messages);
    expect(choice!.text).toBe("one two ");
    expect(choice!.finishReason).toBe(FinishReason.FINISH_REASON_STOP);
    expect(textOf(choice!.tokenIds).endsWith("three")).toBe(true);
    expect(messages.at(-1)!.usage!.completionTokens).toBe(choice!.tokenIds.length);
    expect(fake.engine.computed).toBe(choice!.tokenIds.length);
    expect(fake.engine.running).toBe(0);
  });

  it("continues from what earlier attempts delivered as if nothing had happened, wherever the cut is", async () => {
    fake.engine.script = [...(await encode("Grüße an 東京 🙂 und alle, stop hier und nie weiter"))];
    const sampling = { maxTokens: 60, stop: ["stop hier", "weiter"] };
    const whole = await run(generateRequest({}, sampling));
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: whole.length - 1 }), async (cut) => {
        const delivered = choicesOf(whole.slice(0, cut))[0];
        const progress = [{ choice: 0, tokenIds: delivered?.tokenIds ?? [], finished: false }];
        const rest = await run(generateRequest({ attempt: 1, progress }, sampling));
        const [tail] = choicesOf(rest);
        const [expected] = choicesOf(whole);
        expect((delivered?.text ?? "") + tail!.text).toBe(expected!.text);
        expect([...(delivered?.tokenIds ?? []), ...tail!.tokenIds]).toEqual(expected!.tokenIds);
        expect(rest.at(-1)!.usage).toEqual(whole.at(-1)!.usage);
      }),
    );
  });

  it("has nothing to compute for a choice whose last token was delivered without its end", async () => {
    const [whole] = choicesOf(await run(generateRequest()));
    const computed = fake.engine.computed;
    const messages = await run(generateRequest({ progress: [{ choice: 0, tokenIds: whole!.tokenIds, finished: false }] }));
    expect(messages).toMatchObject([
      { text: "", tokenIds: [], finishReason: FinishReason.FINISH_REASON_LENGTH, usage: { completionTokens: 12 } },
    ]);
    expect(fake.engine.computed).toBe(computed);
  });

  it("makes n choices with seeds of their own, counts the prompt once, and gives each one's pieces in order", async () => {
    const sampling = { n: 3, temperature: 1, seed: "18446744073709551615" };
    const messages = await run(generateRequest({}, sampling));
    const choices = choicesOf(messages);
    expect(new Set(choices.map(({ text }) => text)).size).toBe(3);
    expect(messages.at(-1)!.usage!.completionTokens).toBe(36);
    expect(messages.every(({ usage }) => usage!.promptTokens === messages[0]!.usage!.promptTokens)).toBe(true);
    expect(choicesOf(await run(generateRequest({}, sampling)))).toEqual(choices);
    const alone = choicesOf(await run(generateRequest({}, { ...sampling, n: 1 })));
    expect(alone[0]!.text).toBe(choices[0]!.text);
    const finished = [0, 2].map((choice) => ({ choice, tokenIds: choices[choice]!.tokenIds, finished: true }));
    const rest = await run(generateRequest({ progress: finished }, sampling));
    expect(choicesOf(rest)[1]).toEqual(choices[1]);
    expect(rest.at(-1)!.usage!.completionTokens).toBe(36);
  });

  it("reports log-probabilities with text and bytes", async () => {
    fake.engine.script = await encode("é");
    const [choice] = choicesOf(await run(generateRequest({}, { maxTokens: 2, logprobs: 2 })));
    expect(choice!.logprobs).toHaveLength(2);
    expect(Buffer.concat(choice!.logprobs.map(({ raw }) => raw)).toString()).toBe("é");
    expect(choice!.logprobs[0]).toMatchObject({ text: "\uFFFD", top: [{ tokenId: 2 }, { tokenId: 3 }] });
  });

  describe("the prompt, when asked for", () => {
    const promptsOf = (messages: readonly NodeServiceGenerateResponse[]) =>
      messages.map(({ choice, prompt }) => [choice, prompt.map(({ tokenId }) => tokenId)] as const).filter(([, ids]) => ids.length > 0);

    it("comes once, with the first piece of the first choice, token by token", async () => {
      const promptTokens = await fake.codec.encode("Hello");
      const messages = await run(generateRequest({ echo: true }, { n: 2 }));
      expect(promptsOf(messages)).toEqual([[0, promptTokens]]);
      expect(
        messages
          .find(({ choice }) => choice === 0)!
          .prompt.map(({ text }) => text)
          .join(""),
      ).toContain("Hello");
      expect(messages.find(({ choice }) => choice === 0)!.prompt.every(({ logprob, top }) => logprob === 0 && top.length === 0)).toBe(true);
      expect(promptsOf(await run(generateRequest()))).toEqual([]);
    });

    it("comes with log-probabilities when those are asked for; the first token has none", async () => {
      const [first] = await run(generateRequest({ echo: true }, { logprobs: 0 }));
      const ids = await fake.codec.encode("Hello");
      expect(first!.prompt.map(({ logprob }) => logprob)).toEqual(ids.map((id, index) => (index === 0 ? 0 : -id / 100)));
    });

    it("comes again from another node until a token of the first choice was delivered", async () => {
      const other = (tokenIds: number[]) => [
        { choice: 0, tokenIds, finished: false },
        { choice: 1, tokenIds: [5], finished: false },
      ];
      const again = async (tokenIds: number[]) =>
        promptsOf(await run(generateRequest({ echo: true, progress: other(tokenIds) }, { n: 2, logprobs: 1 }))).length;
      expect([await again([]), await again([7])]).toEqual([1, 0]);
    });
  });

  it("continues nothing from the token with which the base's texts begin", async () => {
    const start = { kind: { $case: "start" as const, value: {} } };
    const [first] = await run(generateRequest({ echo: true, prompt: start }));
    expect(first!.prompt.map(({ tokenId }) => tokenId)).toEqual([fake.info.bosTokenId ?? fake.info.eosTokenIds[0]]);
    const bare = { ...fake.host, info: { ...fake.info, bosTokenId: undefined, eosTokenIds: [] } } as unknown as FakeHost["host"];
    await expect(generate(fake.deps, bare, generateRequest({ prompt: start }), undefined, never).next()).rejects.toMatchObject({
      reason: "parameter_unsupported",
      detail: { field: "prompt" },
    });
  });

  it("claims what was handed over when the client leaves, and frees the row", async () => {
    const leaving = new AbortController();
    const reason = new Fault("client_gone", "left");
    const read: NodeServiceGenerateResponse[] = [];
    const reading = (async () => {
      for await (const message of generate(fake.deps, fake.host, generateRequest(), undefined, leaving.signal)) {
        read.push(message);
        if (read.length === 5) leaving.abort(reason);
      }
    })();
    await expect(reading).rejects.toBe(reason);
    expect(fake.claims).toMatchObject([{ outcome: "cancelled", usage: { completionTokens: 5 } }]);
    expect(fake.engine.running).toBe(0);
    expect(fake.endings).toEqual(["abort"]);
  });

  it("never claims more than was taken by a reader that just stops", async () => {
    for await (const message of generate(fake.deps, fake.host, generateRequest(), undefined, never))
      if (message.usage!.completionTokens === 4) break;
    expect(fake.claims).toMatchObject([{ outcome: "cancelled", usage: { completionTokens: 3 } }]);
    expect(fake.engine.running).toBe(0);
  });

  it("claims nothing where nothing was handed over, and says why it failed", async () => {
    fake.engine.crash();
    await expect(run(generateRequest())).rejects.toMatchObject({ reason: "engine_lost" });
    expect(fake.claims).toEqual([]);
    expect(fake.endings).toEqual(["error"]);
  });

  it("claims now and then while it runs", async () => {
    let seen = 0;
    for await (const message of generate(fake.deps, fake.host, generateRequest(), undefined, never)) {
      seen = message.usage!.completionTokens;
      if (seen === 6) await fake.clock.advance(1500);
    }
    expect(fake.claims.map(({ outcome, usage }) => [outcome, usage.completionTokens])).toEqual([
      ["running", 6],
      ["completed", 12],
    ]);
  });

  it("asks the engine for no more than the reader takes", async () => {
    const iterator = generate(fake.deps, fake.host, generateRequest({}, { maxTokens: 100, n: 2 }), undefined, never);
    for (let taken = 0; taken < 6; taken++) await iterator.next();
    await new Promise((resolve) => setImmediate(resolve));
    expect(fake.engine.computed).toBeLessThanOrEqual(8);
    await iterator.return(undefined);
    expect(fake.engine.running).toBe(0);
  });
});
