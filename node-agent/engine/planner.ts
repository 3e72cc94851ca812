import { hasFarFewer, rowsToShare, type TenantId, type Tokens } from "#kernel";

/** A sequence that waits for a row. */
export interface WaitingSequence {
  readonly tenantId: TenantId;
  /** The most tokens it may ever hold; reserved at admission, so that nothing that runs ever lacks room to go on. */
  readonly reservedTokens: Tokens;
}

/** A sequence that has a row. */
export interface RunningSequence extends WaitingSequence {
  /** Tokens that are known but not computed: 1 when decoding, the rest of its context while prefilling. */
  readonly pendingTokens: Tokens;
  readonly phase: "prefilling" | "decoding";
  /** Its consumer lags: the sequence keeps its row and does nothing. */
  readonly paused: boolean;
  /** The most tokens it may prefill in one step; less than the budget where each token's logits are kept. */
  readonly chunkTokensMax: Tokens;
  /** What it would cost to compute again what it has in the cache. */
  readonly computedTokens: Tokens;
  /** How often it has had to give up its row to another tenant. */
  readonly timesParked: number;
  /** In how many steps in a row its prompt was left where it was. */
  readonly stepsPassedOver: number;
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
  /** Of others' prompts, from one token of a decoding row to its next: for so many that row may be left out of steps. */
  readonly yieldTokensMax: Tokens;
}

/** What tenants have been given, in weighted tokens: their virtual token counters. */
export interface Service {
  readonly of: (tenantId: TenantId) => number;
  /** So much more than another a tenant may have been given and still be spared the other's rows: the counters' own bound. */
  readonly differenceMax: number;
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

/** So often a sequence may be interrupted for other tenants: then it is left to end. */
const PARKS_MAX = 4;

/**
 * Which running sequence gives up its row so that one of the tenant `turn` fits, to go on later with what it has emitted;
 * undefined when nobody has to. First whoever is paused: its row does nothing. Then, for a tenant with less than its
 * share of the rows, a sequence of the tenant that has most, when that is more than its own share: the one that has
 * computed least. So nobody waits for the texts of someone who asks for more than everyone else.
 */
export function chooseToPark<S extends RunningSequence>(
  running: Iterable<S>,
  waiting: Iterable<WaitingSequence>,
  turn: TenantId | undefined,
  room: Room,
  rowsMax: number,
): S | undefined {
  const wanted = [...waiting].find(({ tenantId }) => tenantId === turn);
  if (!wanted) return undefined;
  const all = [...running];
  const paused = all.find((sequence) => sequence.paused);
  if (paused) return paused;
  // One must do: who gives up its row for nothing has to compute everything again for nothing.
  const enough = rowsToShare(all, wanted.tenantId, rowsMax)?.filter(
    (sequence) => sequence.timesParked < PARKS_MAX && fits(wanted, room, sequence),
  );
  return enough?.sort((one, other) => one.computedTokens - other.computedTokens)[0];
}

function fits(wanted: WaitingSequence, room: Room, freed: WaitingSequence): boolean {
  return wanted.reservedTokens <= room.kvTokens + freed.reservedTokens;
}

/** So many steps in a row others' prompts may go before one's own: then it is its turn. As many as two prompts of a conversation take in short steps. */
const PASSED_OVER_MAX = 16;

/**
 * The next step over `running`, which is in order of admission. Every decoding row advances by one token, whatever is being
 * prefilled. Prompts of tenants with fewer rows go before those of tenants with more, so that who asks
 * for little does not wait for the prompts of who asks for much; but nobody is passed over without end.
 *
 * For the same reason rows of a tenant with more than twice the rows of another sit out steps that compute a prompt of that
 * other one: its first token would wait for each of theirs. For `yieldTokensMax` of prompts at most, and not for a tenant
 * that has been given more than they by what counters may differ.
 */
export function planStep<S extends RunningSequence>(running: readonly S[], budget: StepBudget, service: Service): Share<S>[] {
  const active = running.filter((sequence) => !sequence.paused);
  const rows = Map.groupBy(active, ({ tenantId }) => tenantId);
  const rowsOf = (tenantId: TenantId) => rows.get(tenantId)!.length;
  const prefilled = sharePrefills(active, budget, rowsOf);
  const prompted = new Set(prefilled.keys().map(({ tenantId }) => tenantId));
  const stepsYieldedMax = Math.ceil(budget.yieldTokensMax / budget.prefillTokensMax) - 1;
  const yieldsTo = (other: TenantId, own: TenantId) =>
    hasFarFewer(rowsOf(other), rowsOf(own)) && service.of(other) <= service.of(own) + service.differenceMax;
  const yields = ({ tenantId, stepsPassedOver }: S) =>
    stepsPassedOver < stepsYieldedMax && prompted.values().some((other) => yieldsTo(other, tenantId));
  const decoded = (sequence: S) => (yields(sequence) ? 0 : 1);
  return active
    .map((sequence) => ({ sequence, tokenCount: sequence.phase === "decoding" ? decoded(sequence) : (prefilled.get(sequence) ?? 0) }))
    .filter(({ tokenCount }) => tokenCount > 0);
}

/** How many tokens of which prompts are computed: those of tenants with fewest rows first. */
function sharePrefills<S extends RunningSequence>(
  active: readonly S[],
  budget: StepBudget,
  rowsOf: (tenantId: TenantId) => number,
): ReadonlyMap<S, Tokens> {
  const rank = ({ tenantId, stepsPassedOver }: S) => (stepsPassedOver >= PASSED_OVER_MAX ? 0 : rowsOf(tenantId));
  const prefills = Map.groupBy(
    active.filter(({ phase }) => phase === "prefilling"),
    rank,
  );
  const tokens = new Map<S, Tokens>();
  let left = budget.prefillTokensMax;
  for (const [, equals] of [...prefills].sort(([one], [other]) => one - other)) {
    // Whoever is first advances however little there is.
    const chunkTokensMin = tokens.size === 0 ? 1 : budget.chunkTokensMin;
    for (const [sequence, tokenCount] of shareOut(equals, left, chunkTokensMin, budget.chunkTokensMin)) {
      tokens.set(sequence, tokenCount);
      left -= tokenCount;
    }
  }
  return tokens;
}

/**
 * Splits `tokensMax` over prompts, oldest first. The oldest advances by half of it, if that is `oldestMin` at least; beside
 * it pass, by age, those that fit whole; the rest is for whoever is worth a part of a prompt.
 */
function shareOut<S extends RunningSequence>(
  prefills: readonly S[],
  tokensMax: Tokens,
  oldestMin: Tokens,
  chunkTokensMin: Tokens,
): ReadonlyMap<S, Tokens> {
  const shares = new Map<S, Tokens>();
  let left = tokensMax;
  const give = (sequence: S, most: Tokens) => {
    const given = shares.get(sequence) ?? 0;
    const tokens = Math.min(usableTokens(sequence) - given, most);
    shares.set(sequence, given + tokens);
    left -= tokens;
  };
  const [oldest] = tokensMax >= oldestMin ? prefills : [];
  for (const sequence of prefills) {
    if (sequence === oldest) give(sequence, Math.ceil(tokensMax / 2));
    else if (usableTokens(sequence) <= left) give(sequence, left);
  }
  for (const sequence of prefills) {
    if (sequence === oldest || left >= chunkTokensMin) give(sequence, left);
  }
  return shares;
}

function usableTokens({ pendingTokens, chunkTokensMax }: RunningSequence): Tokens {
  return Math.min(pendingTokens, chunkTokensMax);
}
