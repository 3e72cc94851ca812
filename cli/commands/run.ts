import { createInterface } from "node:readline";
import { text as readAll } from "node:stream/consumers";
import { type Command, InvalidArgumentError } from "commander";
import { isFault } from "#kernel";
import { type ChatMessage, InferenceServiceService, type Prompt, Sampling, type Usage } from "#proto";
import { type Connection, withConnection } from "../connection.ts";
import { printData, printFault, printMessage } from "../output.ts";

interface RunOptions {
  readonly raw?: boolean;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly seed?: string;
  readonly stop?: readonly string[];
  readonly verbose?: boolean;
}

export function addRunCommand(program: Command): void {
  program
    .command("run <model> [prompt]")
    .description("generate; a conversation without a prompt; reads a pipe")
    .option("--raw", "continue the text as it is, without the base's chat template")
    .option("--max-tokens <n>", "stop after so many tokens", integer)
    .option("--temperature <t>", "0 is greedy", number)
    .option("--top-p <p>", "", number)
    .option("--top-k <k>", "", integer)
    .option("--min-p <p>", "", number)
    .option("--seed <n>", "same seed, same text")
    .option("--stop <text...>", "end before any of these")
    .option("--verbose", "also print what it cost, to stderr")
    .action((model: string, prompt: string | undefined, options: RunOptions, command: Command) =>
      withConnection(command, async (connection) => {
        const given = prompt ?? (process.stdin.isTTY ? undefined : (await readAll(process.stdin)).trimEnd());
        if (given === undefined) await converse(connection, model, options);
        else await answer(connection, model, [{ role: "user", content: given }], options);
      }),
    );
}

/** Reads lines and answers each in the light of what was said before, until the input ends. */
async function converse(connection: Connection, model: string, options: RunOptions): Promise<void> {
  printMessage(`${model}: type a message, Ctrl-D to leave`);
  const messages: ChatMessage[] = [];
  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: "> " });
  lines.prompt();
  for await (const line of lines) {
    if (line.trim() !== "") {
      messages.push({ role: "user", content: line });
      try {
        messages.push({ role: "assistant", content: await answer(connection, model, messages, options) });
      } catch (error) {
        if (!isFault(error) || connection.signal.aborted) throw error;
        printFault(error);
        messages.pop();
      }
    }
    lines.prompt();
  }
}

/** Streams one answer to stdout. A base without a chat template continues the last message's text instead. */
async function answer(connection: Connection, model: string, messages: readonly ChatMessage[], options: RunOptions): Promise<string> {
  const text: Prompt = { kind: { $case: "text", value: messages.at(-1)!.content } };
  if (options.raw) return stream(connection, model, text, options);
  try {
    return await stream(connection, model, { kind: { $case: "chat", value: { messages: [...messages] } } }, options);
  } catch (error) {
    if (isFault(error, "parameter_unsupported") && error.detail.field?.includes("chat")) return stream(connection, model, text, options);
    throw error;
  }
}

async function stream(connection: Connection, model: string, prompt: Prompt, options: RunOptions): Promise<string> {
  const request = { model, prompt, sampling: samplingOf(options), echo: false, idempotencyKey: "" };
  let said = "";
  let usage: Usage | undefined;
  for await (const piece of connection.channel.serverStream(InferenceServiceService.generate, request, { signal: connection.signal })) {
    if (connection.output === "json") printData(JSON.stringify(piece));
    else process.stdout.write(piece.text);
    said += piece.text;
    usage = piece.usage;
  }
  if (connection.output === "table") printData("");
  if (options.verbose && usage) printMessage(`${usage.promptTokens} prompt tokens, ${usage.completionTokens} completion tokens`);
  return said;
}

function samplingOf(options: RunOptions): Sampling {
  return Sampling.fromPartial({
    maxTokens: options.maxTokens,
    temperature: options.temperature,
    topP: options.topP,
    topK: options.topK,
    minP: options.minP,
    seed: options.seed,
    stop: [...(options.stop ?? [])],
  });
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value)) throw new InvalidArgumentError("not a number");
  return value;
}

function integer(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("not a whole number");
  return Number(text);
}
