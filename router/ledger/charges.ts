import { asKeyId, asProjectId, DAY, type Millis, type TenantId } from "#kernel";
import type { Journal } from "#state";
import type { Charge } from "./contract.ts";
import { lineHeader } from "./line.ts";
import { decodeState, type RequestState, requestKey } from "./request-state.ts";

/** Lines read at a time: what a reader of charges holds in memory. */
const PAGE_LINES = 500;
/** A claim is posted after its request was admitted, but by two clocks; they never differ by more than this. */
const CLOCKS_MS_MAX: Millis = DAY;

/** Requests admitted from `since` (included) until `until` (excluded), in the order of their first lines, as they stand now. */
export async function* readCharges(journal: Journal, tenantId: TenantId, since: Millis, until: Millis): AsyncGenerator<Charge> {
  const [page] = await journal.read([{ book: tenantId, keys: [] }]);
  const last = page!.head.position;
  let from = await firstPositionAt(journal, tenantId, last, since - CLOCKS_MS_MAX);
  while (from <= last) {
    const lines = await journal.lines(tenantId, from, Math.min(PAGE_LINES, last - from + 1));
    if (lines.length === 0) return;
    from += lines.length;
    const claims = lines.flatMap(({ position, text }) => {
      const { requestId } = lineHeader(text);
      return requestId === undefined ? [] : [{ position, requestId }];
    });
    yield* firstOf(await statesOf(journal, tenantId, claims), tenantId, since, until);
  }
}

/** Where the lines begin that were written at `at` or later; one beyond `last` when there are none. */
async function firstPositionAt(journal: Journal, book: string, last: number, at: Millis): Promise<number> {
  let low = 1;
  let high = last + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [line] = await journal.lines(book, middle, 1);
    if (line && lineHeader(line.text).at < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

interface ClaimLine {
  readonly position: number;
  readonly requestId: string;
  readonly state: RequestState | undefined;
}

async function statesOf(journal: Journal, book: string, claims: readonly Omit<ClaimLine, "state">[]): Promise<readonly ClaimLine[]> {
  const keys = [...new Set(claims.map(({ requestId }) => requestKey(requestId)))];
  const [page] = await journal.read([{ book, keys }]);
  return claims.map((claim) => {
    const text = page!.values.get(requestKey(claim.requestId));
    return { ...claim, state: text === undefined ? undefined : decodeState(text) };
  });
}

/** Each request at its first line, so that nobody has to remember which were told. */
function* firstOf(lines: readonly ClaimLine[], tenantId: TenantId, since: Millis, until: Millis): Generator<Charge> {
  for (const { position, requestId, state } of lines) {
    if (state?.position === position && state.admittedAt >= since && state.admittedAt < until) yield chargeOf(requestId, tenantId, state);
  }
}

function chargeOf(requestId: string, tenantId: TenantId, state: RequestState): Charge {
  const { projectId, keyId, model, deltaDigest } = state;
  return {
    requestId,
    tenantId,
    ...(projectId !== undefined && { projectId: asProjectId(projectId) }),
    ...(keyId !== undefined && { keyId: asKeyId(keyId) }),
    ...(model !== undefined && { model }),
    baseName: state.baseName,
    ...(deltaDigest !== undefined && { deltaDigest }),
    priceVersion: state.priceVersion,
    admittedAt: state.admittedAt,
    outcome: state.outcome,
    ...state.usage,
    trainedTokens: state.usage.trainedTokens ?? 0,
    amount: state.amount,
  };
}
