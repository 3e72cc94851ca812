import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { JsonError, parseStrictJson } from "./strict-json.ts";

const RUNS = Number(process.env["DELTAPLANE_FUZZ"] ?? 1000);
vi.setConfig({ testTimeout: 5000 + 20 * RUNS });

/** Plain objects, for comparison with `JSON.parse`. */
const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;

test("reads every JSON text as JSON.parse does", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(undefined, 1, "\t"), (value, indent) => {
      fc.pre(!JSON.stringify(value).includes("\\ud"));
      const text = JSON.stringify(value, null, indent);
      expect(plain(parseStrictJson(text))).toEqual(JSON.parse(text));
    }),
    { numRuns: RUNS },
  );
});

test("refuses every text that JSON.parse refuses", () => {
  const fragment = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"a"',
    '"',
    "\\",
    "1",
    "-",
    "0",
    ".",
    "e",
    "null",
    "true",
    " ",
    "\n",
    "\u00a0",
  );
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 8 }), (fragments) => {
      const text = fragments.join("");
      let expected: unknown;
      try {
        expected = JSON.parse(text);
      } catch {
        expect(() => parseStrictJson(text)).toThrow(JsonError);
        return;
      }
      try {
        expect(plain(parseStrictJson(text))).toEqual(plain(expected));
      } catch (error) {
        if (!(error instanceof JsonError) || !error.message.includes("occurs twice")) throw error;
      }
    }),
    { numRuns: RUNS },
  );
});

test("keys of the prototype are keys like any other", () => {
  const value = parseStrictJson('{"__proto__":{"polluted":true},"constructor":1,"hasOwnProperty":2}') as Record<string, unknown>;
  expect(Object.keys(value)).toEqual(["__proto__", "constructor", "hasOwnProperty"]);
  expect(value["polluted"]).toBeUndefined();
  expect(Object.getPrototypeOf(value)).toBeNull();
});

test.each(["1.0", "1e2", "-0", "-0.5", "9007199254740993", "01", "+1", "NaN", "Infinity"])("with integers only, %s is refused", (text) => {
  expect(() => parseStrictJson(text, { numbers: "integers" })).toThrow(JsonError);
});

test.each(["1e400", "-1e400", "NaN", "Infinity"])("%s is no number", (text) => {
  expect(() => parseStrictJson(text)).toThrow(JsonError);
});
