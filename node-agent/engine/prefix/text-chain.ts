import { sha256Hex, type TenantId, type Tokens } from "#kernel";

/** Whose text it is, and by which weights it is computed: nothing computed for one owner is ever found by another. */
export interface TextOwner {
  readonly tenantId: TenantId;
  /** Of the slot, from attach to detach: slot numbers and even digests come back, lives do not. */
  readonly life: number;
}

/**
 * A text cut into whole units, the beginning of it up to each as a digest: equal links mean the same owner and the same
 * tokens from the first one on. SHA-256, because whoever found a second text for a link would read another's answers.
 */
export type TextChain = readonly string[];

/** How many units two texts have in common; none of two owners. A link stands for all before it, so that halving finds the last equal one. */
export function commonUnits(one: TextChain, other: TextChain): number {
  let [common, different] = [0, Math.min(one.length, other.length) + 1];
  while (different - common > 1) {
    const middle = (common + different) >> 1;
    if (one[middle - 1] === other[middle - 1]) common = middle;
    else if (common === 0 && one[0] !== other[0]) return 0;
    else different = middle;
  }
  return common;
}

export function textChain({ tenantId, life }: TextOwner, tokens: readonly number[], unitTokens: Tokens): TextChain {
  let link = sha256Hex(JSON.stringify([tenantId, life]));
  return Array.from({ length: Math.floor(tokens.length / unitTokens) }, (_, unit) => {
    link = sha256Hex(`${link}:${tokens.slice(unit * unitTokens, (unit + 1) * unitTokens).join()}`);
    return link;
  });
}
