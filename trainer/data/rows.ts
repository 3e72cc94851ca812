import { isJsonObject, type JsonObject, type JsonValue } from "#model";

/** Where a row stands in its file. */
export interface Row {
  /** Zero-based over all records, readable or not. */
  readonly ordinal: number;
  /** One-based, in the file. */
  readonly line: number;
  /** Why it can't be learned from, if so; its other fields mean nothing then. */
  readonly problem?: string;
}

/** A record whose columns are not known yet. */
export interface RawRow extends Row {
  readonly fields: JsonObject;
}

export interface CompletionRow extends Row {
  readonly prompt: string;
  readonly completion: string;
  /** Whether one of them was no text in the file. */
  readonly converted: boolean;
}

export interface TrainingMessage {
  readonly role: string;
  readonly content: string;
  /** Only of the assistant: 0 for an answer that is context and not learned. */
  readonly weight?: 0 | 1;
}

export interface ChatRow extends Row {
  readonly messages: readonly TrainingMessage[];
  /** Keys of messages that mean nothing here. */
  readonly unusedKeys: readonly string[];
}

export type DataKind = "completion" | "chat";

/** The fields that a record of a kind has, and no others. */
export const COLUMNS: Readonly<Record<DataKind, readonly string[]>> = { completion: ["prompt", "completion"], chat: ["messages"] };

/** What is learned from, in the shape in which it is written. */
export type TrainingRecord = { readonly prompt: string; readonly completion: string } | { readonly messages: readonly TrainingMessage[] };

/** Missing values and null are empty texts, numbers and booleans their JSON texts; such a row says that it was converted. */
export function completionRow({ ordinal, line, fields }: RawRow): CompletionRow {
  const { prompt, completion } = fields;
  if (isNested(prompt)) return { ordinal, line, ...EMPTY, problem: "has a prompt that is not a text" };
  if (isNested(completion)) return { ordinal, line, ...EMPTY, problem: "has a completion that is not a text" };
  const converted = typeof prompt !== "string" || typeof completion !== "string";
  return { ordinal, line, prompt: String(prompt ?? ""), completion: String(completion ?? ""), converted };
}

const EMPTY = { prompt: "", completion: "", converted: false } as const;

function isNested(value: JsonValue | undefined): boolean {
  return typeof value === "object" && value !== null;
}

/** The speakers that the templates of all bases know; tools are not supported, as in serving. */
const ROLES: readonly string[] = ["system", "developer", "user", "assistant"];
const MESSAGE_KEYS: readonly string[] = ["role", "content", "weight"];
/** Keys of a message that are not used, but whose message means the same without them. */
const HARMLESS_KEYS: readonly string[] = ["name", "refusal", "audio", "annotations"];

export function chatRow({ ordinal, line, fields }: RawRow): ChatRow {
  const unusedKeys = new Set<string>();
  const read = readMessages(fields["messages"], unusedKeys);
  if (typeof read === "string") return { ordinal, line, messages: [], unusedKeys: [], problem: read };
  return { ordinal, line, messages: read, unusedKeys: [...unusedKeys] };
}

/** The messages, or what is wrong with them. */
function readMessages(value: JsonValue | undefined, unusedKeys: Set<string>): readonly TrainingMessage[] | string {
  if (!Array.isArray(value)) return "messages is not a list";
  if (value.length === 0) return "messages is empty";
  const messages: TrainingMessage[] = [];
  for (const [index, item] of (value as readonly JsonValue[]).entries()) {
    const read = isJsonObject(item) ? readMessage(item, unusedKeys) : "is not an object";
    if (typeof read === "string") return `messages[${index}] ${read}`;
    messages.push(read);
  }
  const answers = messages.filter(({ role }) => role === "assistant");
  if (answers.length === 0) return "has no message of the assistant";
  if (answers.every(({ weight }) => weight === 0)) return "every message of the assistant has weight 0: nothing is to be learned";
  return messages;
}

function readMessage(item: JsonObject, unusedKeys: Set<string>): TrainingMessage | string {
  const { role, content, weight } = item;
  for (const [key, value] of Object.entries(item)) {
    if (MESSAGE_KEYS.includes(key) || value === null) continue;
    if (!HARMLESS_KEYS.includes(key)) return `has ${JSON.stringify(key)}, which is not supported`;
    unusedKeys.add(key);
  }
  if (typeof role !== "string") return "has no role";
  if (!ROLES.includes(role)) return `has the role ${JSON.stringify(role)}, which is none of ${ROLES.join(", ")}`;
  if (typeof content !== "string") return "has no content that is a text";
  if (content.trim() === "") return "has empty content";
  if (weight === undefined || weight === null) return { role, content };
  if (role !== "assistant") return "has a weight, which only the assistant's may have";
  if (weight !== 0 && weight !== 1) return `has the weight ${JSON.stringify(weight)}, which is neither 0 nor 1`;
  return { role, content, weight };
}
