import { readFile } from "node:fs/promises";
import { join } from "node:path";

const FILES = join(import.meta.dirname, "files");

/** What the reference says about one prompt. */
export interface GoldenPrompt {
  /** `short`: less than any prefill chunk. `long`: more than most. */
  readonly kind: "short" | "long";
  readonly tokens: readonly number[];
  /** The 64 greedy tokens that follow. */
  readonly greedy: readonly number[];
  /** [n, vocabularySize]: after every token of a short prompt, after the last of a long one. */
  readonly promptLogits: Float32Array;
  /** [vocabularySize]: those that gave the last greedy token. */
  readonly finalLogits: Float32Array;
}

/** The base, or the base with one delta. */
export interface GoldenVariant {
  readonly name: string;
  readonly deltaDirectory: string | undefined;
  readonly prompts: readonly GoldenPrompt[];
}

export interface GoldenCase {
  readonly baseDirectory: string;
  readonly variants: readonly GoldenVariant[];
}

/** Names of all cases. */
export async function goldenCases(): Promise<readonly string[]> {
  const { cases } = (await readJson(join(FILES, "manifest.json"))) as { cases: readonly { name: string }[] };
  return cases.map(({ name }) => name);
}

export async function readGoldenCase(name: string): Promise<GoldenCase> {
  const directory = join(FILES, name);
  const expected = (await readJson(join(directory, "expected.json"))) as {
    variants: readonly { name: string; delta: string | null; prompts: readonly Pick<GoldenPrompt, "kind" | "tokens" | "greedy">[] }[];
  };
  const tensors = await readFloats(join(directory, "expected.safetensors"));
  const variants = expected.variants.map((variant) => ({
    name: variant.name,
    deltaDirectory: variant.delta === null ? undefined : join(directory, variant.delta),
    prompts: variant.prompts.map((prompt) => ({
      ...prompt,
      promptLogits: tensors.get(`${variant.name}.${prompt.kind}.prompt`)!,
      finalLogits: tensors.get(`${variant.name}.${prompt.kind}.final`)!,
    })),
  }));
  return { baseDirectory: join(directory, "base"), variants };
}

async function readJson(file: string): Promise<unknown> {
  return JSON.parse(await readFile(file, "utf8"));
}

/** All tensors of a float32 safetensors file; not by our own reader, which is under test here too. */
export async function readFloats(file: string): Promise<ReadonlyMap<string, Float32Array<ArrayBuffer>>> {
  const content = await readFile(file);
  const start = 8 + Number(content.readBigUInt64LE(0));
  const header = JSON.parse(content.toString("utf8", 8, start)) as Record<string, { data_offsets: [number, number] }>;
  const tensors = Object.entries(header).map(
    ([
      name,
      {
        data_offsets: [begin, end],
      },
    ]) => {
      const bytes = new Uint8Array(content.subarray(start + begin, start + end)); // A copy, aligned.
      return [name, new Float32Array(bytes.buffer)] as const;
    },
  );
  return new Map(tensors);
}
