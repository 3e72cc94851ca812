import path from "node:path";
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { Fault, MIB } from "#kernel";
import {
  decodeJsonObject,
  decodeUtf8,
  fileFault,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  readWholeFile,
  unlessMissing,
} from "../files/index.ts";
import type { ChatMessage } from "./contract.ts";

const TOKENIZER_CONFIG_FILE = "tokenizer_config.json";
const TEMPLATE_FILE = "chat_template.jinja";

/** The longest published templates have 20 kB; a tokenizer_config.json lists added tokens beside it. */
const FILE_BYTES_MAX = 16 * MIB;
/** Twice what a request may bring: a template adds marks, not text. */
const OUTPUT_CHARACTERS_MAX = 8 * MIB;
const MESSAGES_MAX = 10_000;
/** A template counts layers of brackets, not numbers. */
const RANGE_MAX = 10_000;

export type RenderChat = (messages: readonly ChatMessage[], addGenerationPrompt: boolean) => string;

/**
 * The chat template of a base's folder, or undefined when it has none. A template is code that the operator chose with
 * the base; a delta's folder is never asked for one. It sees no clock: what it says depends on the messages only.
 */
export async function openChatTemplate(directory: string): Promise<RenderChat | undefined> {
  const configFile = await unlessMissing(readWholeFile(path.join(directory, TOKENIZER_CONFIG_FILE), FILE_BYTES_MAX, "follow"));
  const config = configFile ? decodeJsonObject(configFile, TOKENIZER_CONFIG_FILE) : {};
  const templateFile = await unlessMissing(readWholeFile(path.join(directory, TEMPLATE_FILE), FILE_BYTES_MAX, "follow"));
  const source = templateFile ? decodeUtf8(templateFile, TEMPLATE_FILE) : templateIn(config["chat_template"]);
  if (source === undefined) return undefined;
  return compileTemplate(source, templateFile ? TEMPLATE_FILE : TOKENIZER_CONFIG_FILE, specialTokens(config));
}

/** Either the template itself, or a list of named ones, of which the default is meant. */
function templateIn(value: JsonValue | undefined): string | undefined {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return undefined;
  const chosen = value.filter(isJsonObject).find(({ name }) => name === "default")?.["template"];
  return typeof chosen === "string" ? chosen : undefined;
}

/** `bos_token`, `eos_token` and the like, which stand in the file as text or as an object with `content`. */
function specialTokens(config: JsonObject): Record<string, string> {
  const tokens: Record<string, string> = {};
  for (const [name, value] of Object.entries(config)) {
    const content = isJsonObject(value) ? value["content"] : value;
    if (/^[a-z]+_token$/.test(name) && typeof content === "string") tokens[name] = content;
  }
  return tokens;
}

function compileTemplate(source: string, file: string, tokens: Readonly<Record<string, string>>): RenderChat {
  let program: ReturnType<typeof parse>;
  try {
    program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  } catch (cause) {
    throw fileFault("file_malformed", file, `the chat template can't be read: ${reasonOf(cause)}`, { field: "chat_template", cause });
  }
  return (messages, addGenerationPrompt) => {
    if (messages.length > MESSAGES_MAX) throw tooLarge(`${messages.length} messages, more than ${MESSAGES_MAX}`);
    let text: unknown;
    try {
      text = new Interpreter(environment({ ...tokens, messages, add_generation_prompt: addGenerationPrompt })).run(program).value;
    } catch (cause) {
      throw new Fault("prompt_malformed", `messages: the base's chat template refuses them: ${reasonOf(cause)}`, {
        detail: { field: "messages" },
        cause,
      });
    }
    if (typeof text !== "string") throw fileFault("file_malformed", file, "the chat template gives no text", { field: "chat_template" });
    if (text.length > OUTPUT_CHARACTERS_MAX) throw tooLarge(`a prompt of ${text.length} characters, more than ${OUTPUT_CHARACTERS_MAX}`);
    return text;
  };
}

/** What transformers offers to templates, less the clock (`strftime_now`): templates that ask whether it is there have a fixed date instead. */
function environment(variables: Readonly<Record<string, unknown>>): Environment {
  const scope = new Environment();
  for (const [name, value] of Object.entries({ ...CONSTANTS, ...variables })) scope.set(name, value);
  return scope;
}

const CONSTANTS: Readonly<Record<string, unknown>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  raise_exception(message: unknown): never {
    throw new Error(String(message));
  },
  range(first: number, second?: number, step = 1): number[] {
    const [start, end] = second === undefined ? [0, first] : [first, second];
    const length = Math.max(0, Math.ceil((end - start) / step));
    if (!(length <= RANGE_MAX)) throw new Error(`range of ${length} numbers`);
    return Array.from({ length }, (_, index) => start + index * step);
  },
};

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 300);
}

function tooLarge(what: string): Fault {
  return new Fault("message_too_large", `messages: ${what}`, { detail: { field: "messages" } });
}
