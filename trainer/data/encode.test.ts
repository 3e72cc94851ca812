import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openTextCodec } from "#model";
import type { Example } from "../training/example.ts";
import { encodeRecord, type TrainingBase } from "./encode.ts";
import { DEMO_BASE_FOLDER, openDemoBase } from "./testing/demo-base.ts";

const folder = mkdtempSync(join(tmpdir(), "deltaplane-encode-"));
afterAll(() => rmSync(folder, { recursive: true }));

let base: TrainingBase;
beforeAll(async () => {
  base = await openDemoBase();
});

/** What of an example is learned, and what is only read: "read|learned|read…". */
function spans({ codec }: TrainingBase, { tokenIds, weights }: Example): string {
  return tokenIds.map((id, at) => (at > 0 && weights[at] !== weights[at - 1] ? "|" : "") + codec.tokenText(id)).join("");
}

test("a prompt is encoded as serving does, a completion without special tokens, and the end is learned", async () => {
  const [example] = await encodeRecord(base, { prompt: "Guten Tag", completion: " Good day" });
  const prompt = await base.codec.encode("Guten Tag");
  const completion = await base.codec.encode(" Good day", { addSpecialTokens: false });
  expect(example!.tokenIds).toEqual([...prompt, ...completion, base.info.eosTokenIds[0]]);
  expect(example!.weights).toEqual([...prompt.map(() => 0), ...completion.map(() => 1), 1]);
  expect(spans(base, example!)).toBe("<|bos|>Guten Tag| Good day<|end|>");
});

test("an empty prompt is the token with which texts begin, so that the first token can be learned", async () => {
  const [example] = await encodeRecord(base, { prompt: "", completion: "Once" });
  expect(spans(base, example!)).toBe("<|bos|>|Once<|end|>");
});

test("a prompt can be given a weight in the loss", async () => {
  const [example] = await encodeRecord(base, { prompt: "a", completion: "b" }, { promptLossWeight: 0.1 });
  expect(example!.weights).toEqual([0.1, 0.1, 1, 1]);
});

test("each answer with a weight other than 0 is learned up to its end; the first prompt is what serving would encode", async () => {
  const messages = [
    { role: "developer", content: "Be brief." },
    { role: "user", content: "One?" },
    { role: "assistant", content: "Two." },
    { role: "user", content: "And?" },
    { role: "assistant", content: "No.", weight: 0 as const },
    { role: "user", content: "Then?" },
    { role: "assistant", content: "Four.", weight: 1 as const },
    { role: "user", content: "Thanks" },
  ];
  const examples = await encodeRecord(base, { messages });
  expect(examples.map((example) => spans(base, example))).toEqual([
    "<|bos|><|system|>\nBe brief.<|end|>\n<|user|>\nOne?<|end|>\n<|assistant|>\n|Two.<|end|>" +
      "|\n<|user|>\nAnd?<|end|>\n<|assistant|>\nNo.<|end|>\n<|user|>\nThen?<|end|>\n<|assistant|>\n|Four.<|end|>|\n",
  ]);
  const served = base.codec.renderChat([{ role: "system", content: "Be brief." }, messages[1]!]);
  const prompt = await base.codec.encode(served, { addSpecialTokens: false });
  expect(examples[0]!.tokenIds.slice(0, prompt.length)).toEqual(prompt);
});

/** The demo base with another template. */
async function withTemplate(template: string): Promise<TrainingBase> {
  copyFileSync(join(DEMO_BASE_FOLDER, "tokenizer.json"), join(folder, "tokenizer.json"));
  writeFileSync(join(folder, "chat_template.jinja"), template);
  return { info: base.info, codec: await openTextCodec(folder, { vocabularySize: 2560 }) };
}

const TURNS = [
  { role: "user", content: "One?" },
  { role: "assistant", content: "Two." },
  { role: "user", content: "And?" },
  { role: "assistant", content: "Three." },
];

test("where a template shows earlier answers otherwise, every learned answer is an example of its own", async () => {
  const thinking = await withTemplate(
    "{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' and loop.last %}(hm){% endif %}{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}",
  );
  const examples = await encodeRecord(thinking, { messages: TURNS });
  expect(examples.map((example) => spans(thinking, example))).toEqual([
    "[user]One?<|end|>[assistant]|(hm)Two.<|end|>",
    "[user]One?<|end|>[assistant]Two.<|end|>[user]And?<|end|>[assistant]|(hm)Three.<|end|>",
  ]);
});

test("where a template does not end answers, or not as it asks for them, the end token is learned all the same", async () => {
  const bare = await withTemplate(
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}",
  );
  expect((await encodeRecord(bare, { messages: TURNS.slice(0, 2) })).map((example) => spans(bare, example))).toEqual([
    "user: One?\nassistant: |Two.\n<|end|>",
  ]);
  const other = await withTemplate(
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}answer!{% endif %}",
  );
  expect((await encodeRecord(other, { messages: TURNS.slice(0, 2) })).map((example) => spans(other, example))).toEqual([
    "user: One?\nanswer!|Two.<|end|>",
  ]);
});

test("what the base can't take is refused", async () => {
  const short = await openDemoBase(8);
  await expect(encodeRecord(short, { prompt: "one two three", completion: "four five six" })).rejects.toMatchObject({
    reason: "context_too_long",
  });
  const refusing = await withTemplate("{{ raise_exception('never') }}");
  await expect(encodeRecord(refusing, { messages: TURNS })).rejects.toMatchObject({ reason: "prompt_malformed" });
});
