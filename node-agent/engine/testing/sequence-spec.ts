import { asTenantId } from "#kernel";
import type { Sampling, SequenceEvent, SequenceSpec } from "../contract.ts";
import { GREEDY as PLAIN_GREEDY } from "../greedy-sampling.ts";

export const GREEDY: Sampling = { ...PLAIN_GREEDY, seed: 1n };

let count = 0;

/** A greedy sequence of ten tokens from a prompt of three, with what is different. */
export function sequenceSpec(different: Partial<SequenceSpec> = {}): SequenceSpec {
  return {
    id: `sequence-${count++}`,
    tenantId: asTenantId("acme"),
    promptTokens: [5, 6, 7],
    emittedTokens: [],
    slot: undefined,
    sampling: GREEDY,
    maxTokens: 10,
    stopTokenIds: new Set(),
    promptLogprobs: false,
    ...different,
  };
}

/** Reads to the end; the tokens alone. */
export async function tokensOf(events: AsyncIterable<SequenceEvent>): Promise<number[]> {
  const tokens: number[] = [];
  for await (const event of events) if (event.kind === "token") tokens.push(event.tokenId);
  return tokens;
}

export async function eventsOf(events: AsyncIterable<SequenceEvent>): Promise<SequenceEvent[]> {
  return Array.fromAsync(events);
}
