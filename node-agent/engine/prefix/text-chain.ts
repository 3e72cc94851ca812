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

export function textChain({ tenantId, life }: TextOwner, tokens: readonly number[], unitTokens: Tokens): TextChain {
  let link = sha256Hex(JSON.stringify([tenantId, life]));
  return Array.from({ length: Math.floor(tokens.length / unitTokens) }, (_, unit) => {
    link = sha256Hex(`${link}:${tokens.slice(unit * unitTokens, (unit + 1) * unitTokens).join()}`);
    return link;
  });
}
