import { setImmediate as nextTurn } from "node:timers/promises";
import { asTenantId, systemClock } from "#kernel";
import type { SequenceEvent } from "#node-agent";
import { openEngine } from "../../node-agent/engine/engine.ts";
import type { Runner } from "../../node-agent/engine/runner/index.ts";
import { sequenceSpec } from "../../node-agent/engine/testing/sequence-spec.ts";
import type { PrefixReport } from "./device-report.ts";

const NEW_TOKENS = 4;
/** Less than a prompt, so that of two at once one is computed before the other. */
const STEP_TOKENS = 64;

/**
 * The engine on a device: a prompt on the plain base, asked by a tenant, again by it twice at the same time, then by another tenant, and twice at the same
 * time by one of whom nothing is kept.
 * The runner is disposed of with the engine.
 */
export async function askAgain(runner: Runner, promptTokens: readonly number[]): Promise<PrefixReport> {
  await using engine = openEngine(runner, { clock: systemClock, yieldTurn: () => nextTurn() }, { prefillTokensMax: STEP_TOKENS });
  const ask = async (tenant: string, count: number) => {
    const before = { tokens: engine.load().promptTokens, upBytes: runner.bus!.upBytes };
    const texts = await Promise.all(
      Array.from({ length: count }, async () => {
        const sampling = { ...sequenceSpec().sampling, topLogprobs: 0 };
        const spec = sequenceSpec({ tenantId: asTenantId(tenant), promptTokens, maxTokens: NEW_TOKENS, sampling });
        const events = await Array.fromAsync(engine.generate(spec, new AbortController().signal));
        const tokens = events.filter((event): event is SequenceEvent & { kind: "token" } => event.kind === "token");
        return { greedy: tokens.map(({ tokenId }) => tokenId), logprobs: tokens.map(({ logprob }) => logprob!.logprob) };
      }),
    );
    const upBytes = runner.bus!.upBytes - before.upBytes;
    return { computedTokens: engine.load().promptTokens - before.tokens, upBytes, texts };
  };
  const [cold, warm, rival] = [await ask("acme", 1), await ask("acme", 2), await ask("rival", 1)];
  const load = engine.load().prefixes;
  return { cold, warm, rival, load, together: await ask("newcomer", 2) };
}
