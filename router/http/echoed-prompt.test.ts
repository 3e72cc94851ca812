import fc from "fast-check";
import { expect, test } from "vitest";
import type { Prompt, TokenLogprob } from "#proto";
import { echoedPrompt } from "./echoed-prompt.ts";
import { token } from "./testing/scripted-core.ts";

const textPrompt = (value: string): Prompt => ({ kind: { $case: "text", value } });
const idsPrompt: Prompt = { kind: { $case: "tokens", value: { ids: [1] } } };
const bytesToken = (raw: Uint8Array): TokenLogprob => ({ ...token(new TextDecoder().decode(raw)), raw: Buffer.from(raw) });
const bos = token("<|bos|>");

test("a text is repeated as it was sent; what the tokenizer put before it has its place, but no length", () => {
  const echo = echoedPrompt(textPrompt("one two"), [bos, token("one"), token(" two")]);
  expect([echo.text, echo.offsets]).toEqual(["one two", [0, 0, 3]]);
});

test("a space that the tokenizer put before a text is no part of it", () => {
  const echo = echoedPrompt(textPrompt("one two"), [bos, token(" one"), token(" two")]);
  expect([echo.text, echo.offsets]).toEqual(["one two", [0, 0, 3]]);
});

test("token ids are repeated as the text that they stand for, special ones by their names", () => {
  const echo = echoedPrompt(idsPrompt, [bos, token("one"), token(" two")]);
  expect([echo.text, echo.offsets]).toEqual(["<|bos|>one two", [0, 7, 10]]);
});

test("a text that its tokens do not spell out is repeated as they spell it", () => {
  const echo = echoedPrompt(textPrompt("ONE two"), [bos, token("one"), token(" two")]);
  expect([echo.text, echo.offsets]).toEqual(["<|bos|>one two", [0, 7, 10]]);
});

test("wherever a text is cut into tokens, also within a character, each offset is where the token's first character begins", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1 }), fc.array(fc.nat({ max: 40 })), (sent, cuts) => {
      const bytes = Buffer.from(sent);
      const places = [0, ...new Set(cuts.filter((cut) => cut > 0 && cut < bytes.length))].sort((one, other) => one - other);
      const tokens = places.map((from, index) => bytesToken(bytes.subarray(from, places[index + 1] ?? bytes.length)));
      const echo = echoedPrompt(textPrompt(sent), tokens);
      expect(echo.text).toBe(sent);
      for (const [index, from] of places.entries()) {
        // Characters that begin before the token: the whole ones, and the one that it goes on with.
        let whole = from;
        while (((bytes[whole] ?? 0) & 0xc0) === 0x80) whole++;
        expect(echo.offsets[index]).toBe(bytes.subarray(0, whole).toString().length);
      }
    }),
  );
});
