import { isFault } from "#kernel";
import { InferenceServiceService, type Prompt, Sampling } from "#proto";
import type { TrainingRecord } from "#trainer";
import type { Connection } from "../connection.ts";
import { printMessage } from "../output.ts";
import { readRecords } from "./subset-files.ts";

/** What a model is asked, and what it should say. */
export interface Question {
  readonly prompt: Prompt;
  readonly answer: string;
}

/** A share of so many is known to about ±4 %; more would cost without telling more. */
const QUESTIONS_MAX = 100;
/** Longer answers are hardly ever right to the letter, and still right. */
const ANSWER_CHARACTERS_MAX = 48;
/** At once, below what a tenant may ask at a time. */
const QUESTIONS_AT_ONCE = 4;
/** No tokenizer takes more than a token for a byte; one is for the end. */
const END_TOKENS = 1;

/** The first held-out records as questions; undefined where an answer is long, or a record can't be read. */
export async function readQuestions(file: string): Promise<readonly Question[] | undefined> {
  const questions: Question[] = [];
  for await (const line of readRecords(file)) {
    const question = questionOf(line);
    if (question === undefined || question.answer.length > ANSWER_CHARACTERS_MAX) return undefined;
    questions.push(question);
    if (questions.length === QUESTIONS_MAX) break;
  }
  return questions;
}

/** The share that a model answers to the letter, but for space around; undefined, with a message, when it can't be asked. */
export async function exactMatch(connection: Connection, model: string, questions: readonly Question[]): Promise<number | undefined> {
  let right = 0;
  try {
    for (let begin = 0; begin < questions.length; begin += QUESTIONS_AT_ONCE) {
      const part = questions.slice(begin, begin + QUESTIONS_AT_ONCE);
      const said = await Promise.all(part.map((question) => answer(connection, model, question)));
      for (const [index, { answer: wanted }] of part.entries()) if (said[index]!.trim() === wanted.trim()) right++;
    }
  } catch (error) {
    if (!isFault(error) || error.reason === "bug" || connection.signal.aborted) throw error;
    printMessage(`${model}: exact match was not measured: ${error.message}`);
    return undefined;
  }
  return right / questions.length;
}

async function answer({ channel, signal }: Connection, model: string, { prompt, answer: wanted }: Question): Promise<string> {
  const maxTokens = Buffer.byteLength(wanted) + END_TOKENS;
  const request = { model, prompt, sampling: Sampling.fromPartial({ maxTokens, temperature: 0 }), echo: false, idempotencyKey: "" };
  let said = "";
  for await (const { text } of channel.serverStream(InferenceServiceService.generate, request, { signal })) said += text;
  return said;
}

function questionOf(line: string): Question | undefined {
  const record = parsed(line);
  if (record && "prompt" in record) return { prompt: { kind: { $case: "text", value: record.prompt } }, answer: record.completion };
  const last = record?.messages.at(-1);
  if (!record || last?.role !== "assistant") return undefined;
  const messages = record.messages.slice(0, -1).map(({ role, content }) => ({ role, content }));
  return { prompt: { kind: { $case: "chat", value: { messages } } }, answer: last.content };
}

/** Undefined for what is no record: the jobs say what is wrong with it. */
function parsed(line: string): TrainingRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const { prompt, completion, messages } = Object(value) as Record<string, unknown>;
  if (typeof prompt === "string" && typeof completion === "string") return { prompt, completion };
  return Array.isArray(messages) ? { messages } : undefined;
}
