import type { RunnerMemory } from "../../node-agent/engine/runner/index.ts";

interface Greedy {
  readonly greedy: readonly number[];
  readonly expected: readonly number[];
}

interface Answered extends Greedy {
  readonly name: string;
  /** Distance of the prompt's logits from the reference's. */
  readonly worst: number;
}

interface Bytes {
  readonly up: number;
  readonly down: number;
}

/** What one step sends over the bus. */
export interface StepTraffic {
  readonly shortContext: Bytes;
  readonly longContext: Bytes;
  readonly fewDeltas: Bytes;
  readonly top: Bytes;
  readonly vocabularySize: number;
}

/** Of the prompt of {@link PrefixReport}. */
export const PREFIX_PROMPT_TOKENS = 140;

interface AskedTexts {
  readonly computedTokens: number;
  readonly upBytes: number;
  readonly texts: readonly { readonly greedy: readonly number[]; readonly logprobs: readonly number[] }[];
}

/** A prompt asked by a tenant, again by it twice at the same time, by another tenant, and twice at the same time by one of whom nothing is kept. */
export interface PrefixReport {
  readonly cold: AskedTexts;
  readonly warm: AskedTexts;
  readonly rival: AskedTexts;
  readonly together: AskedTexts;
  readonly load: { readonly keptTokens: number; readonly keptBytes: number };
}

/** What the process of device-fidelity.test.ts found out about one case. */
export interface CaseReport {
  readonly name: string;
  /** The base and eight deltas, and two of these for longer. */
  readonly mixed: readonly Answered[];
  readonly long: readonly Answered[];
  readonly chunks: { readonly fromReference: number; readonly fromWhole: number };
  readonly memory: RunnerMemory;
  /** Of the first case only. */
  readonly comings: readonly Greedy[] | undefined;
  /** Whether the one text did overflow, and how far off another is, beside it and afterwards in its slot. */
  readonly overflow: { readonly overflows: boolean; readonly beside: number; readonly afterwards: number } | undefined;
  readonly traffic: StepTraffic | undefined;
  readonly prefix: PrefixReport | undefined;
}
