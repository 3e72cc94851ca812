import fc from "fast-check";
import { expect, test } from "vitest";
import { parseJsonBody } from "./json-body.ts";

const parse = (text: string) => parseJsonBody(Buffer.from(text));

test("a body that is JSON is its value", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      expect(parse(JSON.stringify(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
  expect(parse('{"a": "}]}]\\"[[[["}')).toEqual({ a: '}]}]"[[[[' });
});

test.each([
  ["nothing", Buffer.alloc(0), /empty/],
  ["half an object", Buffer.from('{"a":'), /not valid JSON/],
  ["bytes that are no UTF-8", Buffer.from([0x22, 0xff, 0x22]), /UTF-8/],
  ["a surrogate in UTF-8", Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), /UTF-8/],
  ["65 lists in one another", Buffer.from("[".repeat(65) + "]".repeat(65)), /64 deep/],
  ["two million lists in one another", Buffer.from("[".repeat(2_000_000)), /64 deep/],
  ["as many objects", Buffer.from('{"a":'.repeat(400_000)), /64 deep/],
])("%s is refused", (_, bytes, message) => {
  expect(() => parseJsonBody(bytes)).toThrow(
    expect.objectContaining({ reason: "message_malformed", message: expect.stringMatching(message) }),
  );
});

test("64 deep is still taken, and keys of objects' own workings are keys like others", () => {
  expect(parse("[".repeat(64) + "]".repeat(64))).toBeDefined();
  const value = parse('{"__proto__": {"polluted": true}, "a": 1, "a": 2}') as Record<string, unknown>;
  expect([value["a"], ({} as Record<string, unknown>)["polluted"]]).toEqual([2, undefined]);
});
