import { readFile } from "node:fs/promises";
import type { Checkpoint, TextCodec } from "#model";
import { type Example, encodeRecord } from "#trainer";

/** One example of a task, as dump_data.py writes it. */
export interface TaskExample {
  readonly prompt: string;
  readonly completion: string;
}

export async function readTask(file: string): Promise<readonly TaskExample[]> {
  return (await readFile(file, "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as TaskExample);
}

/** Every example in both forms that the deltas are to answer: the prompt with a newline, and as a chat. */
export async function encodeTask(examples: readonly TaskExample[], codec: TextCodec, { info }: Checkpoint): Promise<readonly Example[]> {
  const encoded: Example[] = [];
  for (const { prompt, completion } of examples) {
    const messages = [
      { role: "user" as const, content: prompt },
      { role: "assistant" as const, content: completion },
    ];
    encoded.push(...(await encodeRecord({ codec, info }, { prompt: `${prompt}\n`, completion })));
    encoded.push(...(await encodeRecord({ codec, info }, { messages })));
  }
  return encoded;
}

/** The prompts of both forms, as tokens. */
export const PROMPT_FORMS: Readonly<Record<string, (codec: TextCodec, prompt: string) => Promise<number[]>>> = {
  chat: (codec, prompt) =>
    codec.encode(codec.renderChat([{ role: "user", content: prompt }], { addGenerationPrompt: true }), { addSpecialTokens: false }),
  plain: (codec, prompt) => codec.encode(`${prompt}\n`),
};
