import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Fault, shapeWords } from "#kernel";

/** What a base's own authors recommend where a request says nothing. */
export interface GenerationDefaults {
  readonly temperature?: number | undefined;
  readonly topK?: number | undefined;
  readonly topP?: number | undefined;
  readonly minP?: number | undefined;
  readonly repetitionPenalty?: number | undefined;
}

const FILE = "generation_config.json";

/** Of all that the file may hold, what has a counterpart in a request; `do_sample` has none, a request says temperature 0. */
const CONFIG = z.object({
  temperature: z.number().min(0).max(2).nullish(),
  top_k: z.number().int().min(0).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().gt(0).max(2).nullish(),
});

/** Reads generation_config.json of a base's folder; a folder without one has no defaults of its own. @throws Fault file_malformed */
export async function readGenerationDefaults(directory: string): Promise<GenerationDefaults> {
  const text = await readFile(join(directory, FILE), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return {};
  const config = parse(text);
  return {
    temperature: config.temperature ?? undefined,
    topK: config.top_k ?? undefined,
    topP: config.top_p ?? undefined,
    minP: config.min_p ?? undefined,
    repetitionPenalty: config.repetition_penalty ?? undefined,
  };
}

function parse(text: string): z.infer<typeof CONFIG> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new Fault("file_malformed", `${FILE}: not JSON`, { detail: { file: FILE }, cause });
  }
  const parsed = CONFIG.safeParse(json, { error: shapeWords });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue?.path.join(".") ?? "";
  throw new Fault("file_malformed", `${FILE}: ${field}: ${issue?.message}`, { detail: { file: FILE, field } });
}
