import { beforeAll, describe, expect, test } from "vitest";
import { type Door, heldOut, MODELS } from "./door.ts";

/** `/v1/completions` */
export function completionCases(door: () => Door): void {
  const model = MODELS.lingua;
  const [first, second] = heldOut("translate", 2).map(({ prompt, completion }) => ({
    prompt: `${prompt}\n`,
    completion: completion.trim(),
  }));
  const greedy = { model, temperature: 0, max_tokens: 64 };
  const openai = () => door().client("lingua");

  describe("completions", () => {
    let alone: string;
    beforeAll(async () => {
      alone = (await openai().completions.create({ ...greedy, prompt: first!.prompt })).choices[0]!.text;
    });

    test("answer as the model was trained to", async () => {
      const answer = await openai().completions.create({ ...greedy, prompt: first!.prompt });
      expect(answer).toMatchObject({ object: "text_completion", model: expect.stringMatching(/^ft:demo-base:lingua:translate:/) });
      expect(answer.choices).toEqual([{ text: alone, index: 0, logprobs: null, finish_reason: "stop" }]);
      expect(answer.system_fingerprint).toMatch(/\w+/);
      expect(answer.usage!.total_tokens).toBe(answer.usage!.prompt_tokens + answer.usage!.completion_tokens);
    });

    test("stream the same text, with the usage at the end", async () => {
      const chunks = [];
      const stream = await openai().completions.create({
        ...greedy,
        prompt: first!.prompt,
        stream: true,
        stream_options: { include_usage: true },
      });
      for await (const chunk of stream) chunks.push(chunk);
      expect(chunks.map(({ choices }) => choices[0]?.text ?? "").join("")).toBe(alone);
      expect(chunks.at(-2)!.choices[0]!.finish_reason).toBe("stop");
      expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: expect.any(Number) } });
      expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    });

    test("take several prompts at once, as texts or token ids, streamed or not", async () => {
      const both = await openai().completions.create({ ...greedy, prompt: [first!.prompt, second!.prompt] });
      expect(both.choices.map(({ index }) => index)).toEqual([0, 1]);
      expect(both.choices[0]!.text).toBe(alone);
      expect(both.choices[1]!.text.trim()).toBe(second!.completion);
      const texts = ["", ""];
      for await (const { choices } of await openai().completions.create({
        ...greedy,
        prompt: [first!.prompt, second!.prompt],
        stream: true,
      }))
        for (const { index, text } of choices) texts[index] += text;
      expect(texts).toEqual(both.choices.map(({ text }) => text));
    });

    test("take the ids that an echo tells, and give the same text", async () => {
      const score = await openai().completions.create({ ...greedy, prompt: [5, 6, 7], echo: true, max_tokens: 0, logprobs: 0 });
      expect(score.choices[0]!.logprobs!.tokens).toHaveLength(3);
      expect(score.choices[0]!.text).toBe(score.choices[0]!.logprobs!.tokens!.join(""));
      const many = await openai().completions.create({ model, prompt: [[5, 6], [7]], max_tokens: 1 });
      expect(many.usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 2 });
    });

    test("make up a text from its beginning when there is no prompt", async () => {
      const { usage, choices } = await openai().completions.create({ model: "demo-base", prompt: null, max_tokens: 4, echo: true });
      expect([usage!.prompt_tokens, usage!.completion_tokens]).toEqual([1, 4]);
      expect(choices[0]!.text).toMatch(/^<\|bos\|>/);
    });

    test("give n different choices, and the same ones for the same seed", async () => {
      const ask = { model, prompt: "Der", n: 3, temperature: 1.5, seed: 7, max_tokens: 12 };
      const one = await openai().completions.create(ask);
      const again = await openai().completions.create(ask);
      expect(new Set(one.choices.map(({ text }) => text)).size).toBe(3);
      expect(again.choices).toEqual(one.choices);
    });

    test("keep the best of many, and bill all", async () => {
      const ask = { model, prompt: "Der", temperature: 1.5, seed: 7, max_tokens: 8, logprobs: 0 };
      const all = await openai().completions.create({ ...ask, n: 4 });
      const mean = (logprobs: readonly number[]) => logprobs.reduce((sum, value) => sum + value, 0) / logprobs.length;
      const ranked = [...all.choices].sort((a, b) => mean(b.logprobs!.token_logprobs!) - mean(a.logprobs!.token_logprobs!));
      const best = await openai().completions.create({ ...ask, n: 2, best_of: 4 });
      expect(best.choices.map(({ index, text }) => [index, text])).toEqual(ranked.slice(0, 2).map(({ text }, index) => [index, text]));
      expect(best.usage).toEqual(all.usage);
    });

    test("echo the prompt with log-probabilities, which are those of the completion when it is fed back", async () => {
      const whole = await openai().completions.create({ ...greedy, prompt: first!.prompt, echo: true, logprobs: 2 });
      const { text, logprobs } = whole.choices[0]!;
      expect(text).toBe(first!.prompt + alone);
      const { tokens, token_logprobs: values, text_offset: offsets, top_logprobs: top } = logprobs!;
      expect([values![0], top![0]]).toEqual([null, null]);
      expect(tokens).toHaveLength(whole.usage!.total_tokens);
      for (const [index, token] of tokens!.entries()) {
        // The first was put before the text, the last ended it: neither is part of it.
        if (index > 0 && index < tokens!.length - 1) expect(text.slice(offsets![index]).startsWith(token), token).toBe(true);
        if (index > 0) expect(Object.keys(top![index]!)).toContain(token);
      }
      const scored = await openai().completions.create({ ...greedy, prompt: text, echo: true, max_tokens: 0, logprobs: 0 });
      expect(scored.usage!.completion_tokens).toBe(0);
      expect(scored.choices[0]!.text).toBe(text);
      const known = scored.choices[0]!.logprobs!.token_logprobs!.slice(1);
      for (const [index, value] of known.entries()) expect(value).toBeCloseTo(values![index + 1]!, 3);
    });

    test("end before a stop string", async () => {
      const stop = alone.trim().split(" ")[1]!;
      const answer = await openai().completions.create({ ...greedy, prompt: first!.prompt, stop: [stop, "###"] });
      expect(answer.choices[0]).toMatchObject({ text: alone.slice(0, alone.indexOf(stop)), finish_reason: "stop" });
    });
  });
}
