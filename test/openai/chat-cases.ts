import { describe, expect, test } from "vitest";
import { type Door, heldOut, MODELS } from "./door.ts";

/** `/v1/chat/completions` */
export function chatCases(door: () => Door): void {
  const model = MODELS.taxly;
  const [example] = heldOut("tax", 1);
  const messages = [{ role: "user" as const, content: example!.prompt }];
  const openai = () => door().client("taxly");

  describe("chat completions", () => {
    test("answer as the model was trained to, however the question is put", async () => {
      const asked = [messages, [{ role: "user" as const, content: [{ type: "text" as const, text: example!.prompt }], name: "anna" }]];
      for (const question of asked) {
        const answer = await openai().chat.completions.create({
          ...{ model, temperature: 0, messages: question },
          ...{ metadata: { run: "1" }, store: true, service_tier: "auto", user: "anna", parallel_tool_calls: true, tools: [] },
        });
        expect(answer.choices[0]).toMatchObject({ index: 0, finish_reason: "stop", message: { role: "assistant", refusal: null } });
        expect(answer.choices[0]!.message.content!.trim()).toBe(example!.completion.trim());
      }
    });

    test("take a developer's word as the system's", async () => {
      const said = async (role: "developer" | "system") => {
        const told = [{ role, content: "Be brief." }, ...messages];
        const { choices, usage } = await openai().chat.completions.create({
          model,
          temperature: 0,
          max_completion_tokens: 8,
          messages: told,
        });
        return [choices[0]!.message.content, usage];
      };
      expect(await said("developer")).toEqual(await said("system"));
    });

    test("stream role, contents, finish and usage, in that order", async () => {
      const stream = openai().chat.completions.stream({ model, temperature: 0, messages, stream_options: { include_usage: true } });
      const chunks = [];
      for await (const chunk of stream) chunks.push(chunk);
      expect(chunks[0]!.choices[0]!.delta).toEqual({ role: "assistant", content: "" });
      expect(chunks.at(-2)!.choices[0]).toMatchObject({ delta: {}, finish_reason: "stop" });
      expect(chunks.at(-1)!.choices).toEqual([]);
      for (const chunk of chunks.slice(0, -1)) expect(chunk.usage).toBeNull();
      const whole = await openai().chat.completions.create({ model, temperature: 0, messages });
      expect(await stream.finalContent()).toBe(whole.choices[0]!.message.content);
      expect(await stream.totalUsage()).toMatchObject(whole.usage!);
    });

    test("give several choices, each streamed in order", async () => {
      const ask = { model, messages, n: 3, temperature: 1.2, seed: 11, max_completion_tokens: 10 };
      const whole = await openai().chat.completions.create(ask);
      const texts = ["", "", ""];
      for await (const { choices } of await openai().chat.completions.create({ ...ask, stream: true }))
        for (const { index, delta } of choices) texts[index] += delta.content ?? "";
      expect(texts).toEqual(whole.choices.map(({ message }) => message.content));
    });

    test("tell log-probabilities with bytes and alternatives", async () => {
      const answer = await openai().chat.completions.create({ model, temperature: 0, messages, logprobs: true, top_logprobs: 3 });
      const { content } = answer.choices[0]!.logprobs!;
      expect(content).toHaveLength(answer.usage!.completion_tokens);
      for (const { token, logprob, bytes, top_logprobs: top } of content!) {
        expect(logprob).toBeLessThanOrEqual(0);
        expect(top).toHaveLength(3);
        expect(top[0]!.token).toBe(token);
        expect(Buffer.from(bytes!).toString()).toBe(token);
      }
    });
  });
}
