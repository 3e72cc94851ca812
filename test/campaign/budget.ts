import { formatUsd, parseUsd } from "#kernel";
import { AdminServiceService, InferenceServiceService } from "#proto";
import { readBooks } from "./booked-requests.ts";
import { setBudget } from "./customers.ts";
import { askOverGrpc, generateRequest } from "./grpc-client.ts";
import type { LiveCluster } from "./live-cluster.ts";
import { addLoadCustomer, sizedAsk } from "./load-customer.ts";
import { completed, type LoadFigures } from "./load-figures.ts";
import type { Violation } from "./storm-check.ts";

const REQUESTS = 1_000;
const AFFORDABLE = 10;
const ASK = sizedAsk(16, 32);

/** A thousand requests at once, over all routers, of a tenant who can pay for ten. Needs prices. */
export async function checkBudget(cluster: LiveCluster): Promise<LoadFigures> {
  const customer = await addLoadCustomer(cluster, "thrifty");
  const { prompt } = generateRequest(ASK);
  const { tokens } = await customer.channels[0]!.unary(InferenceServiceService.countTokens, { model: ASK.model, prompt });
  const budget = BigInt(AFFORDABLE) * (await priceOf(cluster, tokens, ASK.maxTokens));
  await setBudget(cluster, customer.tenant, formatUsd(budget));

  const calls = Array.from({ length: REQUESTS }, (_, index) => askOverGrpc(customer.channels[index % customer.channels.length]!, ASK));
  const attempts = await Promise.all(calls);
  await cluster.quiet();
  const booked = [...(await readBooks(cluster.operator)).requests.values()].filter(({ tenantId }) => tenantId === customer.tenant);
  const spent = booked.reduce((sum, { amount }) => sum + amount, 0n);
  const ran = completed(attempts).length;
  const refused = attempts.filter(({ fault }) => fault?.reason === "budget_spent").length;
  const { spentUsd, heldUsd } = await cluster.admin.unary(AdminServiceService.getTenant, { id: customer.tenant });

  const violations: Violation[] = [];
  const expect = (holds: boolean, what: string) => holds || violations.push({ rule: "budget", what });
  expect(ran <= AFFORDABLE, `${ran} requests ran, and there was money for ${AFFORDABLE}`);
  expect(ran > 0, "no request ran, although there was money");
  expect(spent <= budget, `$${formatUsd(spent)} of $${formatUsd(budget)} were spent`);
  expect(booked.length === ran, `${ran} requests ran, ${booked.length} were charged`);
  expect(parseUsd(spentUsd, "spent") === spent, `the tenant is told $${spentUsd} spent, its book says $${formatUsd(spent)}`);
  expect(parseUsd(heldUsd, "held") === 0n, `$${heldUsd} are held, although nothing runs`);
  const others = attempts.filter(({ ending, fault }) => ending !== "completed" && fault?.reason !== "budget_spent");
  expect(others.length === 0, `${others.length} requests ended otherwise: ${others[0]?.fault?.reason}`);
  return { figures: { requests: REQUESTS, affordable: AFFORDABLE, ran, refused, spent_share: Number(spent) / Number(budget) }, violations };
}

/** Nano-dollars, by the price list in force. */
async function priceOf(cluster: LiveCluster, promptTokens: number, completionTokens: number): Promise<bigint> {
  const { priceLists } = await cluster.admin.unary(AdminServiceService.listPriceLists, {});
  const prices = priceLists.at(-1)!.defaultPrices!;
  const perToken = (usdPerMillion: string) => parseUsd(usdPerMillion, "price") / 1_000_000n;
  return perToken(prices.prompt) * BigInt(promptTokens) + perToken(prices.completion) * BigInt(completionTokens);
}
