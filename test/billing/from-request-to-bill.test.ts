import OpenAI from "openai";
import { expect, test } from "vitest";
import { AdminServiceService, BillingServiceService } from "#proto";
import { bookPartsFromMessages, parsePriceList, verifyBooks } from "#router";
import { BASE_NAME } from "../../router/testing/cluster-of.ts";
import { runRouter } from "../../router/testing/running-router.ts";
import { scriptedNode } from "../../router/testing/scripted-node.ts";

const PRICES = { prompt: "1", cachedPrompt: "0.5", completion: "3", training: "0" };
/** Nano-dollars per token. */
const RATES = { prompt: 1_000n, cached: 500n, completion: 3_000n };

test("what the openai client is told of its usage is what it is billed for, to the nano-dollar", async () => {
  await using under = await runRouter({ a: scriptedNode() }, { httpListen: "127.0.0.1:0" });
  const { admin, operator, router } = under;
  const priceList = { version: 0, plan: "standard", effectiveFromMs: 0, defaultPrices: PRICES, bases: {}, gpuHourUsd: "2.5" };
  await admin.unary(AdminServiceService.addPriceList, { priceList });
  const { text: key } = await under.tenantKey("acme");
  const client = new OpenAI({ baseURL: `http://127.0.0.1:${router.httpPort}/v1`, apiKey: key, adminAPIKey: key, maxRetries: 0 });

  let owed = 0n;
  const asks = Array.from({ length: 12 }, (_, seed) =>
    client.completions.create({ model: BASE_NAME, prompt: "hi", seed, max_tokens: 3 + seed }),
  );
  for (const { usage } of await Promise.all(asks)) {
    const cached = usage!.prompt_tokens_details?.cached_tokens ?? 0;
    owed +=
      BigInt(usage!.prompt_tokens - cached) * RATES.prompt +
      BigInt(cached) * RATES.cached +
      BigInt(usage!.completion_tokens) * RATES.completion;
  }
  expect(owed).toBeGreaterThan(0n);

  const month = new Date().toISOString().slice(0, 7);
  const bill = () => operator.unary(BillingServiceService.getInvoice, { tenantId: "acme", month });
  await expect.poll(async () => nano((await bill()).invoice?.totalUsd ?? "0"), { timeout: 10_000 }).toBe(owed);
  expect((await bill()).invoice).toMatchObject({
    preliminary: true,
    lines: [{ kind: "prompt", usdPerMillion: "1.00" }, { kind: "cached" }, { kind: "completion" }],
  });

  const costs = await client.admin.organization.usage.costs({ start_time: Math.floor(Date.now() / 1000) - 86_400 });
  const charged = costs.data.flatMap(({ results }) => results as { amount: { value: number } }[]).map(({ amount }) => amount.value);
  expect(charged.reduce((sum, value) => sum + value, 0)).toBeCloseTo(Number(owed) / 1e9, 12);

  expect(await recount()).toEqual([]);

  async function recount(): Promise<readonly unknown[]> {
    const prices = new Map([[1, parsePriceList(priceList)]]);
    const messages = operator.serverStream(BillingServiceService.readJournal, { book: "acme" });
    const [verified] = await Array.fromAsync(verifyBooks(bookPartsFromMessages(messages), prices));
    expect(verified!.recount).toMatchObject({ requests: 12, nanoUsd: owed });
    return verified!.recount.differences;
  }
});

/** Dollars with up to nine places as nano-dollars. */
function nano(usd: string): bigint {
  const [whole = "0", fraction = ""] = usd.split(".");
  return BigInt(whole + fraction.padEnd(9, "0"));
}
