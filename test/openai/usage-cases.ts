import { describe, expect, test } from "vitest";
import { type Door, heldOut, MODELS } from "./door.ts";

/** What is billed is what clients counted. */
export function usageCases(door: () => Door): void {
  describe("usage and costs", () => {
    test("grow by what the answers say, token by token", async () => {
      const openai = door().client("shopkit");
      const start = Math.floor(Date.now() / 1000) - 3_600;
      const usageOf = async () => {
        const page = await openai.admin.organization.usage.completions({
          start_time: start,
          group_by: ["model"],
          models: [MODELS.shopkit],
        });
        const results = page.data.flatMap((bucket) => bucket.results) as {
          input_tokens: number;
          output_tokens: number;
          num_model_requests: number;
        }[];
        const sum = (of: (result: (typeof results)[number]) => number) => results.reduce((total, result) => total + of(result), 0);
        return [
          sum((result) => result.num_model_requests),
          sum((result) => result.input_tokens),
          sum((result) => result.output_tokens),
        ] as const;
      };
      const costOf = async () => {
        const page = await openai.admin.organization.usage.costs({ start_time: start });
        const amounts = page.data.flatMap((bucket) => bucket.results) as { amount: { value: number } }[];
        return amounts.reduce((total, { amount }) => total + amount.value, 0);
      };
      const [requests, input, output] = await usageOf();
      const cost = await costOf();
      const prompts = heldOut("copy", 4).map(({ prompt }) => `${prompt}\n`);
      const ask = { model: MODELS.shopkit, max_tokens: 24, temperature: 1, seed: 3 };
      const batch = await openai.completions.create({ ...ask, prompt: prompts, n: 2 });
      const best = await openai.completions.create({ ...ask, prompt: prompts[0]!, best_of: 3 });
      const score = await openai.completions.create({ ...ask, prompt: prompts[0]!, echo: true, max_tokens: 0 });
      const said = [batch.usage!, best.usage!, score.usage!];
      const total = (of: "prompt_tokens" | "completion_tokens") => said.reduce((sum, usage) => sum + usage[of], 0);
      const due = [requests + 6, input + total("prompt_tokens"), output + total("completion_tokens")];
      await expect.poll(usageOf, { timeout: 15_000 }).toEqual(due);
      expect(await costOf()).toBeGreaterThan(cost);
    });
  });
}
