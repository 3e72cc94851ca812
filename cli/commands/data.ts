import { type Command, InvalidArgumentError, Option } from "commander";
import { type NanoUsd, parseUsd } from "#kernel";
import type { DataKind } from "#trainer";
import { outputOf } from "../connection.ts";
import { createDataDialogue } from "../data-dialogue.ts";
import { printMessage } from "../output.ts";
import { trainingPrice } from "../training-price.ts";

interface PrepareCommandOptions {
  readonly yes?: boolean;
  readonly split?: boolean;
  readonly format?: DataKind;
  readonly base?: string;
  readonly price?: NanoUsd;
  readonly tokensPerSecond?: number;
}

export function addDataCommand(program: Command): void {
  const data = program.command("data").description("training data");

  data
    .command("prepare <file>")
    .description("check a file of examples and clean it up for training: jsonl, json, csv, tsv, xlsx, txt; the file itself stays as it is")
    .option("-y, --yes", "make every recommended change without asking")
    .option("--split", "keep some examples apart, to measure with")
    .addOption(new Option("--format <kind>", "what the records are (default: seen from the first)").choices(["completion", "chat"]))
    .option("--base <dir|name>", "the base that counts the tokens (default: the demo base)")
    .option("--price <usd>", "per million trained tokens (default: what the cluster asks)", price)
    .option("--tokens-per-second <n>", "the speed of training that you know of, for the estimate", positive)
    .action((file: string, options: PrepareCommandOptions, command: Command) => prepare(file, options, command));
}

async function prepare(file: string, options: PrepareCommandOptions, command: Command): Promise<void> {
  const { prepareData } = await import("#trainer");
  const { findTrainingBase } = await import("../training-base.ts");
  const { printDataReport } = await import("../data-report.ts");
  const output = outputOf(command);
  const base = await findTrainingBase(options.base, command);
  using dialogue = createDataDialogue({ takeAll: options.yes ?? false, quiet: output === "json" });
  if (output === "table") printMessage(`checking ${file} for the base ${base.info.name} …`);
  const split = async ({ task }: { readonly task: string }) =>
    (options.split ?? false) || (task === "classification" && (await dialogue.asksToSplit()));
  const prepared = await prepareData(file, { base, kind: options.format, split }, dialogue);
  const perMillion = options.price ?? (await trainingPrice(base.info.name, command));
  printDataReport(output, prepared, { base: base.info, namedBase: options.base, perMillion, tokensPerSecond: options.tokensPerSecond });
}

function price(text: string): NanoUsd {
  return parseUsd(text, "price");
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError("not a positive number");
  return value;
}
