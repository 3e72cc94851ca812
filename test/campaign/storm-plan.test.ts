import { expect, test } from "vitest";
import { seededRandom } from "#kernel";
import { drawShot, type StormPlan } from "./storm-plan.ts";

const customer = (tenant: string) => ({ tenant, key: `dp_${tenant}_secret`, models: ["demo-base", `${tenant}/canary`] });
const PLAN: StormPlan = {
  customers: [customer("acme"), customer("globex")],
  refused: customer("penniless"),
  prompts: ["one", "two", "three"],
  routers: 2,
};
const draw = (seed: number, count: number) => {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, index) => drawShot(PLAN, index, "run", random));
};

test("a seed gives the same shots every time", () => {
  expect(draw(1, 200)).toEqual(draw(1, 200));
  expect(draw(1, 200)).not.toEqual(draw(2, 200));
});

test("shots are of every kind: both doors and routers, clients that leave, ask again, and must be refused for every reason", () => {
  const shots = draw(3, 2_000);
  expect(new Set(shots.map(({ door, router }) => `${door} ${router}`)).size).toBe(4);
  expect(shots.some(({ leaving }) => leaving && "afterMs" in leaving)).toBe(true);
  expect(shots.some(({ leaving }) => leaving && "afterPieces" in leaving)).toBe(true);
  expect(new Set(shots.flatMap(({ refusal }) => refusal ?? [])).size).toBe(5);
  const keys = shots.flatMap(({ ask }) => ask.idempotencyKey ?? []);
  expect(new Set(keys).size).toBe(keys.length);
  const penniless = shots.filter(({ tenant }) => tenant === "penniless");
  expect(penniless.every(({ refusal }) => refusal !== undefined)).toBe(true);
});
