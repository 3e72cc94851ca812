import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import type { Fault } from "#kernel";
import { lineOf } from "./json-lines.ts";
import { readPriceFile } from "./price-file.ts";

const folder = mkdtempSync(join(tmpdir(), "deltaplane-prices-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const GOOD = `{
  "plan": "standard",
  "effective_from": "2026-12-01T00:00:00Z",
  "default_prices": { "prompt": "0.15", "cached_prompt": 0.075, "completion": "0.60", "training": "3.00" },
  "bases": {
    "big-base": {
      "prompt": "1.05",
      "cached_prompt": "0.5", "completion": "4.2",
      "training": "21"
    }
  },
  "gpu_hour_usd": 2.5
}
`;

function read(text: string) {
  const file = join(folder, "prices.json");
  writeFileSync(file, text);
  return readPriceFile(file);
}

test("a price file is a price list", () => {
  expect(read(GOOD)).toEqual({
    ...{ version: 0, plan: "standard", effectiveFromMs: Date.UTC(2026, 11, 1), gpuHourUsd: "2.5" },
    defaultPrices: { prompt: "0.15", cachedPrompt: "0.075", completion: "0.60", training: "3.00" },
    bases: { "big-base": { prompt: "1.05", cachedPrompt: "0.5", completion: "4.2", training: "21" } },
  });
});

test("the demo's price file is good", () => {
  expect(readPriceFile(join(import.meta.dirname, "cluster/demo-prices.json"))).toMatchObject({ plan: "standard", gpuHourUsd: "2.50" });
});

test.each([
  ['"prompt": "1.05"', '"prompt": "1.0505"', "bases.big-base.prompt", 7],
  ['"training": "21"', '"training": "-1"', "bases.big-base.training", 9],
  ['"completion": "4.2"', '"completion": true', "bases.big-base.completion", 8],
  ['"cached_prompt": 0.075, ', "", "default_prices.cached_prompt", 4],
  ['"training": "21"', '"training": "21", "colour": "red"', "bases.big-base.colour", 9],
  ['"gpu_hour_usd": 2.5', '"gpu_hour_usd": "much"', "gpu_hour_usd", 12],
  ['"2026-12-01T00:00:00Z"', '"December"', "effective_from", 3],
  ['"standard"', '"Standard"', "plan", 2],
  ['"gpu_hour_usd": 2.5', '"gpu_hours_usd": 2.5', "gpu_hour_usd", 1],
])("%s → %s: the error names the file, %s and line %i", (from, to, field, line) => {
  let fault: Fault | undefined;
  try {
    read(GOOD.replace(from, to));
  } catch (error) {
    fault = error as Fault;
  }
  expect(fault).toMatchObject({ reason: "file_malformed", detail: { field, line } });
  expect(fault!.message).toMatch(new RegExp(`prices\\.json:${line}: ${field}`));
});

test.each([
  [GOOD.replace('"completion": "4.2",', '"completion": "4.2",,'), 8],
  [GOOD.slice(0, GOOD.indexOf('"training": "21"')).trimEnd(), 8],
  ["", 1],
])("what is no JSON is told with its line", (text, line) => {
  expect(() => read(text)).toThrow(expect.objectContaining({ reason: "file_malformed", detail: expect.objectContaining({ line }) }));
});

test("a file that is not there is told by name", () => {
  expect(() => readPriceFile(join(folder, "nowhere.json"))).toThrow(expect.objectContaining({ reason: "file_missing" }));
});

test("the line of a value is found in any JSON, however it is written", () => {
  const key = fc.string({ minLength: 1, unit: "binary" });
  fc.assert(
    fc.property(
      fc.dictionary(key, fc.jsonValue(), { maxKeys: 4, noNullPrototype: true }),
      key,
      fc.constantFrom(0, 1, 3),
      (before, name, indent) => {
        const value = { ...before, [`@${name}`]: { "": [before, { here: "found" }] } };
        const text = JSON.stringify(value, null, indent);
        const line = text.slice(0, text.lastIndexOf('"found"')).split("\n").length;
        expect(lineOf(text, [`@${name}`, "", "1", "here"])).toBe(line);
      },
    ),
    { numRuns: 100 },
  );
});
