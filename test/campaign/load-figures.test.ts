import { expect, test } from "vitest";
import { seededRandom } from "#kernel";
import { brokenBounds } from "./load-campaigns.ts";
import { jain } from "./load-figures.ts";
import { runOpenLoop } from "./open-loop.ts";
import { parseScrape } from "./prometheus-text.ts";

test("Jain's index is 1 for equal shares and 1/n when one has everything", () => {
  expect(jain([7, 7, 7])).toBeCloseTo(1);
  expect(jain([9, 0, 0])).toBeCloseTo(1 / 3);
});

test("a figure outside its bound is named; one that was not measured is outside", () => {
  const bounds = [
    { figure: "share", atLeast: 0.9 },
    { figure: "wait", atMost: (figures: Readonly<Record<string, number>>) => figures["limit"]! },
  ];
  expect(brokenBounds({ share: 0.9, wait: 5, limit: 5 }, bounds)).toEqual([]);
  expect(brokenBounds({ share: 0.8, wait: 6, limit: 5 }, bounds)).toHaveLength(2);
  expect(brokenBounds({ share: Number.NaN, wait: 1, limit: 5 }, bounds)).toHaveLength(1);
});

test("samples of a scrape add up over the labels that were not named", () => {
  const page = parseScrape('# HELP a b\na{base="x",kind="prompt"} 3\na{base="y",kind="prompt"} 4\na{base="y",kind="other"} 10\nb 1.5e3\n');
  expect([page.sum("a", { kind: "prompt" }), page.sum("a"), page.sum("b"), page.sum("c")]).toEqual([7, 17, 1500, undefined]);
});

test("an open loop goes on sending while nothing is answered", async () => {
  const until = AbortSignal.timeout(200);
  const sent = await runOpenLoop({ ratePerSecond: 500, random: seededRandom(1), until }, async (index) => {
    if (!until.aborted) await new Promise((resolve) => until.addEventListener("abort", resolve, { once: true }));
    return index;
  });
  expect(sent.length).toBeGreaterThan(10);
  expect(sent).toEqual(sent.map((_, index) => index));
});
