import type { Provider, WeightFormat } from "#node-agent";
import { type Commit, readCommit } from "./commit.ts";
import { describeMachine, type Machine } from "./machine.ts";

/** One line of a bench's table; all rows of a report have the same columns. */
export type BenchRow = Readonly<Record<string, string | number>>;

/** What a bench found. `summary` is flat, numbers only; its keys are promised in the interfaces and never renamed. */
export interface BenchReport {
  readonly name: string;
  readonly machine: Machine;
  readonly commit: Commit;
  readonly rows: readonly BenchRow[];
  readonly summary: Readonly<Record<string, number>>;
}

/** What every bench is told. All of it has a default. */
export interface BenchOptions {
  /** A Hugging Face folder to measure instead of the generated models. */
  readonly base?: string | undefined;
  /** PEFT folders to measure with, in the order of use; generated ones by default. */
  readonly deltas?: readonly string[] | undefined;
  /** A Python with torch, transformers and peft, to compare training with. Default: `python3`, if it has them. */
  readonly python?: string | undefined;
  /** Where to compute, and in which numbers: see `deltaplane node-agent`. Default: float32 on the processor. */
  readonly ep?: Provider | undefined;
  readonly weights?: WeightFormat | undefined;
  /** Fewer turns: for a first look, not for figures to quote. */
  readonly quick?: boolean | undefined;
  /** Generated models are kept here. Default: `bench/` in the folder of the cluster's state. */
  readonly cacheDirectory?: string | undefined;
  /** Told what is going on, a line at a time. */
  readonly progress?: ((line: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type Bench = (options: BenchOptions) => Promise<BenchReport>;

/** A report on this machine and this commit. Throws when a figure is no finite number: a missing measurement must not pass as one. */
export async function createReport(
  name: string,
  rows: readonly BenchRow[],
  summary: Readonly<Record<string, number>>,
  device?: string,
): Promise<BenchReport> {
  for (const [key, value] of Object.entries(summary)) {
    if (!Number.isFinite(value)) throw new Error(`bench ${name}: ${key} was not measured (${value})`);
  }
  const machine = { ...describeMachine(), ...(device !== undefined && { device }) };
  return { name, machine, commit: await readCommit(), rows, summary: mapValues(summary, significant) };
}

/** Four significant digits: more would be noise. */
function significant(value: number): number {
  return Number(value.toPrecision(4));
}

function mapValues(record: Readonly<Record<string, number>>, change: (value: number) => number): Record<string, number> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
