import type { Tokens } from "#kernel";

/** A tenant's file that is to be brought into the shape in which it can be trained on. */
export interface PreparationTask {
  /** As its tenant calls it: its ending tells the format. */
  readonly filename: string;
  readonly content: AsyncIterable<Uint8Array>;
  readonly base: { readonly name: string; readonly directory: string };
  /** What the records are, when it should not be seen from the first of them. */
  readonly kind: "completion" | "chat" | undefined;
  /** Checks whose recommendation is not to be followed; all others are. */
  readonly declined: ReadonlySet<string>;
  /** Whether some examples are held out, to measure with. */
  readonly split: boolean;
}

/** What was found in a file, and done about it. */
export interface PreparationReport {
  readonly format: string;
  readonly kind: "completion" | "chat";
  readonly task: string;
  /** Different completions, when they are labels. */
  readonly classes?: number | undefined;
  readonly rows: { readonly read: number; readonly kept: number; readonly dropped: number };
  readonly tokens: { readonly total: Tokens; readonly median: Tokens; readonly longest: Tokens; readonly longestLine: number };
  readonly steps: readonly PreparationStep[];
  /** With what prompts end, and what can be given to `stop`, when all do. */
  readonly separator?: string | undefined;
  readonly stop?: string | undefined;
  /** What training would choose, and why. */
  readonly epochs: number;
  readonly epochsReason: string;
  /** All epochs together: what it would be charged for. */
  readonly trainedTokens: Tokens;
  /** By order of magnitude. */
  readonly estimatedSeconds: number;
}

export interface PreparationStep {
  readonly check: string;
  readonly kind: "note" | "necessary" | "recommended";
  readonly message: string;
  readonly applied: boolean;
  readonly dropped?: { readonly rows: number; readonly firstLines: readonly number[] };
}

/** What came of it; dispose it when what was written has been read. */
export interface PreparedData extends AsyncDisposable {
  readonly report: PreparationReport;
  /** Absent when nothing had to be changed. */
  readonly train?: AsyncIterable<Uint8Array> | undefined;
  readonly valid?: AsyncIterable<Uint8Array> | undefined;
}

/**
 * The same checks as `deltaplane data prepare`. The router imports no trainer: whoever puts it together brings them.
 *
 * @throws Fault for a file that can't be prepared, which names the line
 */
export type PrepareData = (task: PreparationTask, signal: AbortSignal) => Promise<PreparedData>;
