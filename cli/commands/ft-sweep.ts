import { type Command, InvalidArgumentError } from "commander";
import type { Connection } from "../connection.ts";
import { withConnection } from "../connection.ts";
import type { SweepOptions } from "../sweep/run-sweep.ts";

export function addSweepCommand(ft: Command): void {
  ft.command("sweep")
    .description("is it worth labelling more? Train on growing parts of a file and compare; Ctrl-C leaves the jobs running")
    .requiredOption("-t, --training-file <file>", "JSONL; see `data prepare`")
    .option("--sizes <n,…>", "how many examples to train on (default: an eighth, a quarter, a half, all)", wholes)
    .option("--valid <file>", "to measure on (default: a fifth is held out, at most 500)")
    .option("-m, --model <base,…>", "the bases (default: the only one there is)", names)
    .option("--epochs <n,…>", "times that each example is seen", wholes)
    .option("--lr-mult <x,…>", "times the usual learning rate", numbers)
    .option("--rank <n,…>", "of the delta", wholes)
    .option("--seed <n>", "chooses the examples, and is the seed of every job", seed, 0)
    .option("--tenant <id>", "on whose behalf (admin key only)")
    .option("--out <dir>", "for the parts, results.json and plots (default: sweep-<id>)")
    .option("--no-exact-match", "don't ask the models for held-out answers, which costs their tokens")
    .option("-y, --yes", "don't ask about what a large sweep costs")
    .action((options: SweepOptions, command: Command) =>
      withConnection(command, async (connection: Connection) => {
        const { runSweep } = await import("../sweep/run-sweep.ts"); // Here, so that other commands start without it.
        await runSweep(connection, options, command);
      }),
    );
}

const SEED_MAX = 2 ** 31 - 1;

function names(text: string): readonly string[] {
  const found = text.split(",").map((name) => name.trim());
  if (found.includes("")) throw new InvalidArgumentError("not a list of names");
  return found;
}

function numbers(text: string): readonly number[] {
  const values = names(text).map(Number);
  if (!values.every((value) => Number.isFinite(value) && value > 0)) throw new InvalidArgumentError("not a list of numbers above 0");
  return values;
}

function wholes(text: string): readonly number[] {
  const values = numbers(text);
  if (!values.every(Number.isSafeInteger)) throw new InvalidArgumentError("not a list of whole numbers from 1");
  return values;
}

function seed(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > SEED_MAX) throw new InvalidArgumentError(`not a whole number from 0 to ${SEED_MAX}`);
  return value;
}
