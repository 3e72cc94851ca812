import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Tokenizer } from "tokenizers";
import { describe, expect, test, vi } from "vitest";
import type { FaultReason } from "#kernel";
import { openTextCodec } from "./text-codec.ts";

const FIXTURES = path.join(import.meta.dirname, "fixtures");
const BYTE_LEVEL = path.join(FIXTURES, "byte-level");
const VOCABULARY_SIZE = 402;

const openByteLevel = () => openTextCodec(BYTE_LEVEL, { vocabularySize: VOCABULARY_SIZE });
const reason = (expected: FaultReason) => expect.objectContaining({ name: "Fault", reason: expected });

describe("encode", () => {
  test("gives the tokenizer's ids, with or without what it puts around a prompt", async () => {
    const codec = await openByteLevel();
    const tokenizer = Tokenizer.fromFile(path.join(BYTE_LEVEL, "tokenizer.json"));
    const begin = tokenizer.tokenToId("<|begin|>");
    const plain = await codec.encode("the base", { addSpecialTokens: false });
    expect(await codec.encode("the base")).toEqual([begin, ...plain]);
    expect(await codec.countTokens("the base")).toBe(plain.length + 1);
  });

  test("never cuts a text, although the file says so", async () => {
    const codec = await openByteLevel();
    expect(await codec.countTokens("x".repeat(1000), { addSpecialTokens: false })).toBeGreaterThan(16);
  });

  test("takes NUL, right-to-left and zero-width characters as text", async () => {
    const codec = await openByteLevel();
    for (const text of ["\0", "a\0b", "\u202Eabc\u200D", "\uFEFFbom"]) {
      const tokenIds = await codec.encode(text, { addSpecialTokens: false });
      expect(Buffer.concat(tokenIds.map((tokenId) => codec.tokenBytes(tokenId))).toString()).toBe(text);
    }
  });

  test("an empty text has no tokens of its own, and is no prompt", async () => {
    const codec = await openByteLevel();
    expect(await codec.encode("", { addSpecialTokens: false })).toEqual([]);
    expect(() => codec.checkPrompt([])).toThrow(reason("prompt_malformed"));
  });

  test("refuses half a surrogate pair", async () => {
    const codec = await openByteLevel();
    for (const text of ["\uD83D", "a\uDE00b"]) await expect(codec.encode(text)).rejects.toEqual(reason("prompt_malformed"));
  });

  test("refuses a text beyond the limit before it is read", async () => {
    const codec = await openByteLevel();
    await expect(codec.encode("a".repeat(4 * 2 ** 20 + 1))).rejects.toEqual(reason("message_too_large"));
  });

  test("does not read to its end what is far beyond a context, and takes whole what fits one", async () => {
    const codec = await openByteLevel();
    const encode = vi.spyOn(Tokenizer.prototype, "encode");
    const far = "x1 ".repeat(2 ** 20);
    await expect(codec.encode(far, { contextTokensMax: 100 })).rejects.toEqual(reason("context_too_long"));
    const charactersRead = encode.mock.calls.reduce((sum, [text]) => sum + String(text).length, 0);
    expect(charactersRead).toBeLessThan(far.length / 10);
    encode.mockRestore();

    const near = "<|begin|>😀<|begin|>".repeat(3_000); // Many characters a token, and cut in the middle of some.
    const whole = await codec.encode(near);
    expect(await codec.encode(near, { contextTokensMax: whole.length })).toEqual(whole);
    // A little beyond is not far beyond: it is counted exactly.
    expect(await codec.encode(near, { contextTokensMax: Math.ceil(whole.length * 0.8) })).toEqual(whole);
  });

  test("refuses a token that the base's embedding lacks", async () => {
    const codec = await openTextCodec(BYTE_LEVEL, { vocabularySize: 10 });
    await expect(codec.encode("the base")).rejects.toEqual(reason("prompt_malformed"));
  });
});

test.each([[[-1]], [[VOCABULARY_SIZE]], [[1.5]], [[Number.NaN]], [[0, 2 ** 53]]])(
  "a prompt of the ids %j is refused by its place",
  async (ids) => {
    const codec = await openByteLevel();
    expect(() => codec.checkPrompt([...ids], "prompt")).toThrow(reason("prompt_malformed"));
    expect(() => codec.checkPrompt([...ids], "prompt")).toThrow(`prompt[${ids.length - 1}]`);
  },
);

test("tokens have bytes and text, also those that are no whole character", async () => {
  const codec = await openByteLevel();
  const tokenizer = Tokenizer.fromFile(path.join(BYTE_LEVEL, "tokenizer.json"));
  const first = tokenizer.tokenToId("ð")!;
  expect([...codec.tokenBytes(first)]).toEqual([0xf0]);
  expect(codec.tokenText(first)).toBe("\uFFFD");
  expect(codec.tokenText(tokenizer.tokenToId("<|end|>")!)).toBe("<|end|>");
  expect(codec.tokenText(tokenizer.tokenToId("größer→")!)).toBe("größer→");
  expect(codec.tokenText(9999)).toBe("");
  const pieces = await openTextCodec(path.join(FIXTURES, "byte-pieces"), { vocabularySize: 600 });
  const [word] = await pieces.encode("the", { addSpecialTokens: false });
  expect(pieces.tokenText(word!)).toMatch(/^ t/);
});

describe("renderChat", () => {
  const messages = [
    { role: "system", content: "Be brief." },
    { role: "user", content: "{{ 7 * 7 }}" },
  ];

  test("follows the base's template, and never reads a message as one", async () => {
    const codec = await openByteLevel();
    const turns = "<|turn|>system\nBe brief.<|end|>\n<|turn|>user\n{{ 7 * 7 }}<|end|>\n";
    expect(codec.renderChat(messages, { addGenerationPrompt: false })).toBe(turns);
    expect(codec.renderChat(messages)).toBe(`${turns}<|turn|>assistant\n`);
  });

  test("what the template refuses is the client's error", async () => {
    const codec = await openByteLevel();
    expect(() => codec.renderChat([{ role: "wizard", content: "" }])).toThrow(reason("prompt_malformed"));
    expect(() => codec.renderChat([{ role: "wizard", content: "" }])).toThrow("unknown role wizard");
  });

  test("a base without a template says so", async () => {
    const codec = await openTextCodec(path.join(FIXTURES, "metaspace"), { vocabularySize: 600 });
    expect(() => codec.renderChat(messages)).toThrow(reason("parameter_unsupported"));
  });

  test("a template has no clock, and bounds on what it builds", async () => {
    const codec = await openWith({
      "chat_template.jinja": "{{ strftime_now is defined }}{{ bos_token }}",
    });
    expect(codec.renderChat([])).toBe("falseBEGIN");
    const counting = await openWith({ "chat_template.jinja": "{% for i in range(1000000000) %}x{% endfor %}" });
    expect(() => counting.renderChat([])).toThrow(reason("prompt_malformed"));
    const growing = await openWith({
      "chat_template.jinja": "{% set b = namespace(t='xxxxxxxx') %}{% for i in range(21) %}{% set b.t = b.t + b.t %}{% endfor %}{{ b.t }}",
    });
    expect(() => growing.renderChat([])).toThrow(reason("message_too_large"));
  });

  test("chat_template.jinja comes before the configuration's; of several there, the default counts", async () => {
    const both = {
      bos_token: "BEGIN",
      chat_template: [
        { name: "tool_use", template: "tools" },
        { name: "default", template: "plain" },
      ],
    };
    expect((await openWith({}, both)).renderChat([])).toBe("plain");
    expect((await openWith({ "chat_template.jinja": "file" }, both)).renderChat([])).toBe("file");
  });
});

const WORDS = { version: "1.0", added_tokens: [], decoder: null, model: { type: "WordLevel", vocab: { a: 0, b: 1 }, unk_token: "a" } };

async function openWith(files: Record<string, string>, config: object = { bos_token: "BEGIN" }) {
  const directory = await mkdtemp(path.join(tmpdir(), "text-"));
  const all = { "tokenizer.json": JSON.stringify(WORDS), "tokenizer_config.json": JSON.stringify(config), ...files };
  for (const [name, content] of Object.entries(all)) await writeFile(path.join(directory, name), content);
  return openTextCodec(directory, { vocabularySize: 2 });
}

describe("a folder that is no tokenizer is refused by file", () => {
  const decoder = (value: unknown) => ({ "tokenizer.json": JSON.stringify({ ...WORDS, decoder: value }) });
  test.each<[string, Record<string, string>, FaultReason, string]>([
    ["not JSON", { "tokenizer.json": "{" }, "file_malformed", "tokenizer.json"],
    ["another JSON", { "tokenizer.json": "{}" }, "file_malformed", "tokenizer.json"],
    ["a WordPiece decoder", decoder({ type: "WordPiece", prefix: "##", cleanup: true }), "model_unsupported", "WordPiece"],
    ["a regular expression", decoder({ type: "Replace", pattern: { Regex: "." }, content: "" }), "model_unsupported", "Replace"],
    ["a broken template", { "chat_template.jinja": "{% for %}" }, "file_malformed", "chat_template.jinja"],
    ["a broken configuration", { "tokenizer_config.json": "[]" }, "file_malformed", "tokenizer_config.json"],
  ])("%s", async (_, files, expected, named) => {
    const opening = openWith(files);
    await expect(opening).rejects.toEqual(reason(expected));
    await expect(opening).rejects.toThrow(named);
  });

  test("nothing there", async () => {
    const directory = await mkdtemp(path.join(tmpdir(), "text-"));
    await expect(openTextCodec(directory, { vocabularySize: 2 })).rejects.toEqual(reason("file_missing"));
  });
});
