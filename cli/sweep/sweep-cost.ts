import type { Command } from "commander";
import { Fault, formatUsd, type NanoUsd, type Tokens } from "#kernel";
import { chooseEpochs, estimateCost } from "#trainer";
import { printMessage } from "../output.ts";
import { openQuestions } from "../questions.ts";
import { trainingPrice } from "../training-price.ts";
import type { Cell } from "./cells.ts";
import type { SubsetFiles } from "./subset-files.ts";

/** What may be trained unasked: an afternoon's try, not a bill. */
const UNASKED = { cells: 12, tokens: 2_000_000 } as const;
/** About what texts come to. */
const BYTES_PER_TOKEN = 4;

export interface PlannedSweep {
  readonly cells: readonly Cell[];
  readonly files: SubsetFiles;
  /** Given beforehand. */
  readonly yes: boolean;
}

/** Says what a sweep takes, and asks where it is much. @throws Fault parameter_invalid where nobody can be asked */
export async function isAgreed({ cells, files, yes }: PlannedSweep, command: Command): Promise<boolean> {
  const tokensOf = (cell: Cell) => plannedTokens(cell, files.subsets.get(cell.examples)!.sizeBytes);
  const tokens = cells.reduce((sum, cell) => sum + tokensOf(cell), 0);
  let cost: NanoUsd | undefined = 0n;
  for (const [base, own] of Map.groupBy(cells, (cell) => cell.base)) {
    const price = await trainingPrice(base, command);
    const share = own.reduce((sum, cell) => sum + tokensOf(cell), 0);
    cost = price === undefined || cost === undefined ? undefined : cost + estimateCost(share, price);
  }
  const money = cost === undefined ? "" : `, about $${formatUsd(cost)}`;
  const plan = `sweep ${files.sweepId}: ${cells.length} jobs, about ${tokens} trained tokens${money}; ${files.heldOut.records} records are measured on`;
  printMessage(plan);
  if (yes || (cells.length <= UNASKED.cells && tokens <= UNASKED.tokens)) return true;
  if (process.stdin.isTTY !== true) throw new Fault("parameter_invalid", "so much is trained only with -y", { detail: { field: "yes" } });
  using questions = openQuestions();
  return questions.ask("Train them");
}

/** About: texts differ, and so do tokenizers. */
export function plannedTokens({ examples, epochs }: Cell, sizeBytes: number): Tokens {
  return Math.ceil(sizeBytes / BYTES_PER_TOKEN) * (epochs ?? chooseEpochs(examples).epochs);
}
