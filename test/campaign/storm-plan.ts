import type { Random } from "#kernel";
import type { Ask, Leaving } from "./ask.ts";
import type { Customer } from "./customers.ts";

/** Why a request must be refused, and charged nothing. */
export type Refusal = "key" | "model" | "foreign_model" | "context" | "budget";

/** One request of a storm, before it is sent: everything about it comes from the seed. */
export interface Shot {
  readonly index: number;
  readonly tenant: string;
  readonly key: string;
  readonly ask: Ask;
  readonly door: "grpc" | "http";
  /** Which of the routers is asked first. */
  readonly router: number;
  readonly leaving?: Leaving;
  readonly refusal?: Refusal;
}

export interface StormPlan {
  readonly customers: readonly Customer[];
  /** A tenant whose budget is nothing, and whose every request is refused. */
  readonly refused: Customer;
  readonly prompts: readonly string[];
  readonly routers: number;
}

/** Some journal groups of 16 long, and short enough that a cluster on two cores answers a dozen a second. */
export const STORM_TOKENS = 48;
const SHARES = { http: 0.2, leaving: 0.2, idempotent: 0.2, refused: 0.05 } as const;
const LEAVE_MS_MAX = 400;
const REFUSALS: readonly Refusal[] = ["key", "model", "foreign_model", "context", "budget"];

/** Greedy for every other prompt, seeded for the rest: both give one text per model and prompt. */
export function stormAsk(model: string, prompts: readonly string[], index: number): Ask {
  const temperature = index % 2 === 0 ? 0 : 0.9;
  return { model, prompt: prompts[index]!, maxTokens: STORM_TOKENS, temperature, seed: 4000 + index, ignoreEos: true };
}

export function drawShot(plan: StormPlan, index: number, run: string, random: Random): Shot {
  const customer = plan.customers[random.below(plan.customers.length)]!;
  const model = customer.models[random.below(customer.models.length)]!;
  const ask = stormAsk(model, plan.prompts, random.below(plan.prompts.length));
  const door: Shot["door"] = random.float() < SHARES.http ? "http" : "grpc";
  const router = random.below(plan.routers);
  const draw = random.float();
  const usual = { index, tenant: customer.tenant, key: customer.key, ask, door, router };
  if (draw < SHARES.leaving) return { ...usual, leaving: drawLeaving(random) };
  if (draw < SHARES.leaving + SHARES.idempotent) return { ...usual, ask: { ...ask, idempotencyKey: `${run}-${index}` } };
  if (draw < SHARES.leaving + SHARES.idempotent + SHARES.refused) return refusedShot(plan, usual, random);
  return usual;
}

function drawLeaving(random: Random): Leaving {
  return random.float() < 0.5 ? { afterPieces: 1 + random.below(STORM_TOKENS - 1) } : { afterMs: random.below(LEAVE_MS_MAX) };
}

function refusedShot(plan: StormPlan, usual: Shot, random: Random): Shot {
  const refusal = REFUSALS[random.below(REFUSALS.length)]!;
  if (refusal === "context") return { ...usual, refusal, ask: { ...usual.ask, maxTokens: 1_000_000 } }; // Of one who can pay.
  const { tenant, key, models } = plan.refused;
  const changes: Readonly<Record<Exclude<Refusal, "context">, { readonly key?: string; readonly ask: Ask }>> = {
    key: { key: `${key}x`, ask: { ...usual.ask, model: models[0]! } },
    model: { ask: { ...usual.ask, model: `${tenant}/no-such-model` } },
    foreign_model: { ask: { ...usual.ask, model: plan.customers[0]!.models[1]! } },
    budget: { ask: { ...usual.ask, model: models[0]! } },
  };
  return { ...usual, tenant, key, refusal, ...changes[refusal] };
}
