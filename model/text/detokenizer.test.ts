import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { Tokenizer } from "tokenizers";
import { describe, expect, test, vi } from "vitest";
import { createDetokenizer } from "./detokenizer.ts";
import { openTextCodec } from "./text-codec.ts";

const RUNS = Number(process.env["DELTAPLANE_FUZZ"] ?? 500);
vi.setConfig({ testTimeout: 5000 + 20 * RUNS });
const FIXTURES = ["byte-level", "byte-pieces", "metaspace"];

async function openFixture(name: string) {
  const directory = path.join(import.meta.dirname, "fixtures", name);
  const tokenizer = Tokenizer.fromFile(path.join(directory, "tokenizer.json"));
  tokenizer.disableTruncation();
  const vocabularySize = tokenizer.getVocabSize(true);
  return { tokenizer, vocabularySize, codec: await openTextCodec(directory, { vocabularySize }) };
}

describe.each(FIXTURES)("streaming with the %s tokenizer", (name) => {
  test("any sequence of ids gives what the tokenizer decodes at once", async () => {
    const { tokenizer, vocabularySize, codec } = await openFixture(name);
    const ids = fc.array(fc.nat(vocabularySize - 1), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(ids, async (tokenIds) => {
        const stream = createDetokenizer(codec);
        const pieces = tokenIds.map((tokenId) => stream.push(tokenId));
        const whole = pieces.join("") + stream.end();
        expect(whole).toBe(await tokenizer.decode(tokenIds, true));
        for (const piece of pieces) expect(piece.isWellFormed()).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });

  test("the tokens of a real text stream without one replacement character, and come back as the text", async () => {
    const { tokenizer, codec } = await openFixture(name);
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", maxLength: 60 }), async (raw) => {
        const text = raw.replaceAll("\uFFFD", "").replaceAll("\u2581", "").replaceAll("<", "");
        const tokenIds = await codec.encode(text, { addSpecialTokens: false });
        const stream = createDetokenizer(codec);
        const pieces = tokenIds.map((tokenId) => stream.push(tokenId));
        const whole = pieces.join("") + stream.end();
        expect(whole).toBe(await tokenizer.decode(tokenIds, true));
        expect(whole).not.toContain("\uFFFD");
        for (const piece of pieces) expect(piece.isWellFormed()).toBe(true);
        if (name === "byte-level") expect(whole).toBe(text);
      }),
      { numRuns: RUNS },
    );
  });
});

const fuse = { type: "Fuse" };
const byteFallback = { type: "ByteFallback" };
const byteLevel = { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true };
const replace = { type: "Replace", pattern: { String: "▁" }, content: "$&" };
const strip = { type: "Strip", content: " ", start: 2, stop: 0 };
const metaspace = (prepend_scheme: string) => ({ type: "Metaspace", replacement: "▁", prepend_scheme, split: true });
const sequence = (...decoders: object[]) => ({ type: "Sequence", decoders });

test.each<[string, object | null]>([
  ["none", null],
  ["byte level", byteLevel],
  ["byte level, stripped", sequence(replace, byteLevel, strip)],
  ["byte fallback", byteFallback],
  ["byte fallback, fused and stripped", sequence(byteFallback, fuse, strip)],
  ["strip of every token", sequence(strip, fuse)],
  ["strip of tokens and of the whole", sequence(metaspace("never"), strip, fuse, strip)],
  ["replace", replace],
  ["metaspace, first", sequence(metaspace("first"), byteFallback)],
  ["metaspace, always", metaspace("always")],
  ["metaspace, never", metaspace("never")],
])("decoder %s gives the same in a stream as at once", async (_, decoder) => {
  const tokens = ["a", "▁", "▁a", "b▁▁", " ", "   c", "<0x41>", "<0xC3>", "<0xa9>", "<0xZZ>", "Ã", "©", "Ġ", "é", "😀", "\uFEFF", "<s>"];
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const special = { id: 16, content: "<s>", special: true, single_word: false, lstrip: false, rstrip: false, normalized: false };
  const json = JSON.stringify({ version: "1.0", added_tokens: [special], decoder, model: { type: "WordLevel", vocab, unk_token: "a" } });
  const directory = await mkdtemp(path.join(tmpdir(), "decoder-"));
  await writeFile(path.join(directory, "tokenizer.json"), json);
  const codec = await openTextCodec(directory, { vocabularySize: tokens.length });
  const tokenizer = Tokenizer.fromString(json);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(tokens.length - 1), { maxLength: 12 }), async (tokenIds) => {
      const stream = createDetokenizer(codec);
      const whole = tokenIds.map((tokenId) => stream.push(tokenId)).join("") + stream.end();
      expect(whole).toBe(await tokenizer.decode(tokenIds, true));
    }),
    { numRuns: RUNS },
  );
});

test("a character of four bytes arrives whole with its last byte", async () => {
  const { tokenizer, codec } = await openFixture("byte-level");
  const bytes = ["ð", "Ł", "¦", "Ģ"].map((token) => tokenizer.tokenToId(token)!); // F0 9F A6 80: 🦀
  const stream = createDetokenizer(codec);
  expect(bytes.map((tokenId) => stream.push(tokenId))).toEqual(["", "", "", "🦀"]);
});

test("a text that ends inside a character ends with one replacement character", async () => {
  const { tokenizer, codec } = await openFixture("byte-level");
  const stream = createDetokenizer(codec);
  expect(stream.push(tokenizer.tokenToId("ð")!)).toBe("");
  expect(stream.push(tokenizer.tokenToId("Ł")!)).toBe("");
  expect(stream.end()).toBe("\uFFFD");
  expect(stream.end()).toBe("");
});

test("of the space marks, only the first one of the whole text is dropped", async () => {
  const { codec } = await openFixture("byte-pieces");
  const stream = createDetokenizer(codec);
  const tokenIds = await codec.encode("  the  base", { addSpecialTokens: false });
  expect(tokenIds.map((tokenId) => stream.push(tokenId)).join("")).toBe("  the  base");
});

test("a run of byte tokens is released when it ends, and as replacement characters when it is no UTF-8", async () => {
  const { tokenizer, codec } = await openFixture("byte-pieces");
  const [lead, tail, word] = ["<0xC3>", "<0xA9>", "base"].map((token) => tokenizer.tokenToId(token) ?? tokenizer.tokenToId("s")!);
  const valid = createDetokenizer(codec);
  expect([lead!, tail!].map((tokenId) => valid.push(tokenId))).toEqual(["", ""]);
  expect(valid.push(word!)).toMatch(/^é/);
  const invalid = createDetokenizer(codec);
  invalid.push(lead!);
  invalid.push(lead!);
  expect(invalid.end()).toBe("\uFFFD\uFFFD");
});

test("special tokens and ids outside the vocabulary add nothing", async () => {
  const { tokenizer, vocabularySize, codec } = await openFixture("byte-level");
  const stream = createDetokenizer(codec);
  expect(stream.push(tokenizer.tokenToId("<|end|>")!)).toBe("");
  for (const tokenId of [vocabularySize, -1, 1.5, Number.NaN, 2 ** 40]) expect(stream.push(tokenId)).toBe("");
  expect(stream.push(tokenizer.tokenToId("<call>")!)).toBe("<call>");
});
