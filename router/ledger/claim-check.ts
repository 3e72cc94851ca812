import { type Claim, Fault, NAME_PATTERN } from "#kernel";

/** More than any request can come to, and few enough that no sum of a tenant leaves the 64 bits of a counter. */
const TOKENS_MAX = 1_000_000_000;
/** The last moment whose year has four digits. */
const INSTANT_MAX = Date.UTC(9999, 11, 31);
/** What a counter's name holds together; a store takes names of up to 512 characters. */
const NAMES_LENGTH_MAX = { projectId: 63, keyId: 63, baseName: 63, model: 256 } as const;
const LENGTHS_MAX = { ...NAMES_LENGTH_MAX, requestId: 128, baseDigest: 128, deltaDigest: 128, nodeId: 128 } as const;
/** Printable ASCII without the two characters that JSON escapes. */
const PLAIN = /^[ !#-[\]-~]+$/;

/**
 * The last line of defence: a count that can't be would stay in the sums for ever, and what a store would refuse must
 * not take a whole round with it.
 *
 * @throws Fault parameter_invalid
 */
export function checkClaim(claim: Claim): void {
  const { promptTokens, cachedTokens, completionTokens, trainedTokens = 0 } = claim.usage;
  for (const [field, tokens] of Object.entries({ promptTokens, cachedTokens, completionTokens, trainedTokens }))
    checkCount(claim, field, tokens, TOKENS_MAX);
  if (cachedTokens > promptTokens) throw wrong(claim, "cachedTokens", `${cachedTokens}, of ${promptTokens} prompt tokens`);
  checkCount(claim, "attempt", claim.attempt, Number.MAX_SAFE_INTEGER);
  checkCount(claim, "priceVersion", claim.priceVersion, Number.MAX_SAFE_INTEGER);
  checkCount(claim, "admittedAt", claim.admittedAt, INSTANT_MAX);
  if (!NAME_PATTERN.test(claim.tenantId)) throw wrong(claim, "tenantId", JSON.stringify(claim.tenantId));
  for (const [field, lengthMax] of Object.entries(LENGTHS_MAX)) {
    const text = claim[field as keyof typeof LENGTHS_MAX];
    if (text !== undefined && !(text.length <= lengthMax && PLAIN.test(text))) throw wrong(claim, field, JSON.stringify(text));
  }
}

function checkCount(claim: Claim, field: string, count: number, max: number): void {
  if (!Number.isSafeInteger(count) || count < 0 || count > max) throw wrong(claim, field, String(count));
}

export function wrong(claim: Claim, field: string, value: string): Fault<"parameter_invalid"> {
  return new Fault("parameter_invalid", `claim of request ${claim.requestId}: ${field} is ${value}`, { detail: { field } });
}
