import type { TenantId, Tokens } from "#kernel";

/** A sequence that waits for a row. */
export interface WaitingSequence {
  readonly tenantId: TenantId;
  /** The most tokens it may ever hold; reserved at admission, so that nothing that runs is ever preempted. */
  readonly reservedTokens: Tokens;
}

/** A sequence that has a row. */
export interface RunningSequence {
  readonly tenantId: TenantId;
  /** Tokens that are known but not computed: 1 when decoding, the rest of its context while prefilling. */
  readonly pendingTokens: Tokens;
  readonly phase: "prefilling" | "decoding";
  /** Its consumer lags: the sequence keeps its row and does nothing. */
  readonly paused: boolean;
  /** The most tokens it may prefill in one step; less than the budget where each token's logits are kept. */
  readonly chunkTokensMax: Tokens;
}

/** What is free for sequences that wait. */
export interface Room {
  readonly rows: number;
  readonly kvTokens: Tokens;
}

/** How many prefill tokens a step may compute beside one token of every decoding row. */
export interface StepBudget {
  /** Bounds how long a step takes, and with it the time between two tokens of the rows that decode. */
  readonly prefillTokensMax: Tokens;
  /** A prompt is not cut for less than this: every part of one costs the runner a call of its own. */
  readonly chunkTokensMin: Tokens;
}

/** One row's part in a step. */
export interface Share<S> {
  readonly sequence: S;
  readonly tokenCount: Tokens;
}

/**
 * Which waiting sequence gets a row next; undefined when none does now. `waiting` is in order of arrival; `turn` is the
 * tenant that is next by its virtual token counter, and its longest waiting sequence is the one.
 *
 * If that does not fit, nobody passes it: room that small sequences keep taking would never be enough for a large one.
 */
export function chooseNext<W extends WaitingSequence>(waiting: Iterable<W>, turn: TenantId | undefined, room: Room): W | undefined {
  if (room.rows < 1 || turn === undefined) return undefined;
  for (const sequence of waiting) {
    if (sequence.tenantId === turn) return sequence.reservedTokens <= room.kvTokens ? sequence : undefined;
  }
  return undefined;
}

/**
 * The next step over `running`, which is in order of admission. Every decoding row advances by one token, in every
 * step, whatever is being prefilled. The oldest prefill always advances by half of the budget, so that nobody starves;
 * beside it pass, by age, those whose prompts fit whole; the rest is for whoever is worth a part of a prompt.
 */
export function planStep<S extends RunningSequence>(running: readonly S[], budget: StepBudget): Share<S>[] {
  const active = running.filter((sequence) => !sequence.paused);
  const prefills = active.filter((sequence) => sequence.phase === "prefilling");
  const chunks = shareOut(
    prefills.map((sequence) => Math.min(sequence.pendingTokens, sequence.chunkTokensMax)),
    budget,
  );
  const chunkOf = new Map(prefills.map((sequence, index) => [sequence, chunks[index]!]));
  return active.map((sequence) => ({ sequence, tokenCount: chunkOf.get(sequence) ?? 1 })).filter((share) => share.tokenCount > 0);
}

/** Splits the budget over what each could use, oldest first. */
function shareOut(usable: readonly Tokens[], { prefillTokensMax, chunkTokensMin }: StepBudget): Tokens[] {
  const shares = usable.map(() => 0);
  let left = prefillTokensMax;
  const give = (index: number, tokensMax: Tokens) => {
    const tokens = Math.min(usable[index]! - shares[index]!, tokensMax);
    shares[index]! += tokens;
    left -= tokens;
  };
  for (const [index, wanted] of usable.entries()) {
    if (index === 0) give(index, Math.ceil(prefillTokensMax / 2));
    else if (wanted <= left) give(index, left);
  }
  for (const index of usable.keys()) {
    if (index === 0 || left >= chunkTokensMin) give(index, left);
  }
  return shares;
}
