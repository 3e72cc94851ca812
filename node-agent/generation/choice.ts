import { assert, type Tokens } from "#kernel";
import type { TokenLogprob as WireTokenLogprob } from "#proto";
import type { BaseHost, EngineUse } from "../base-host.ts";
import type { SequenceSpec } from "../engine/index.ts";
import { createChoiceText } from "./choice-text.ts";
import type { GenerationRequest } from "./generation-request.ts";
import { toWireLogprob } from "./token-logprobs.ts";

/** What one more token brought to one choice. */
export interface ChoicePiece {
  readonly choice: number;
  readonly text: string;
  readonly tokenIds: readonly number[];
  readonly logprobs: readonly WireTokenLogprob[];
  readonly finish: "stop" | "length" | undefined;
  /** The prompt's tokens, with the piece that is to report them; else empty. */
  readonly prompt: readonly WireTokenLogprob[];
  /** Of the prompt's tokens, those that were kept from earlier texts. With a choice's first token; else 0. */
  readonly reusedTokens: Tokens;
}

/**
 * Generates one choice from where earlier attempts left it. The last piece, and only that, has a finish. When a stop
 * string ends the text, the sequence is given up before the piece leaves: its row is free for others.
 */
export async function* generateChoice(
  host: BaseHost,
  use: EngineUse,
  request: GenerationRequest,
  identity: Pick<SequenceSpec, "id" | "tenantId">,
  choice: number,
  signal: AbortSignal,
): AsyncGenerator<ChoicePiece> {
  const { plan, promptTokens } = request;
  const emittedTokens = request.progress.get(choice)?.tokenIds ?? [];
  const text = createChoiceText(host.codec, plan.stops);
  for (const [index, tokenId] of emittedTokens.entries()) {
    const ending = plan.stopTokenIds.has(tokenId) ? "stop" : index + 1 === plan.maxTokens ? "length" : undefined;
    const { finish } = text.push(tokenId, ending);
    if (!finish) continue;
    yield { choice, text: "", tokenIds: [], logprobs: [], finish, prompt: [], reusedTokens: 0 };
    return;
  }
  // Who has tokens of the first choice already has the prompt, too: they come with the first of them.
  const echoes = request.echo && choice === 0 && emittedTokens.length === 0;
  const scored = echoes && plan.samplingOf(choice).topLogprobs !== undefined;
  let prompt = echoes && !scored ? promptTokens.map((tokenId) => toWireLogprob(host.codec, tokenId, undefined)) : [];
  let reusedTokens: Tokens = 0;
  const over = new AbortController();
  const sequence: SequenceSpec = {
    ...identity,
    promptTokens,
    emittedTokens,
    slot: use.slot,
    sampling: plan.samplingOf(choice),
    maxTokens: plan.maxTokens,
    stopTokenIds: plan.stopTokenIds,
    promptLogprobs: scored,
  };
  for await (const event of use.engine.generate(sequence, AbortSignal.any([signal, over.signal]))) {
    if (event.kind === "prompt") {
      prompt = promptTokens.map((tokenId, index) => toWireLogprob(host.codec, tokenId, event.logprobs[index]));
      continue;
    }
    if (event.kind === "reused") {
      reusedTokens = event.promptTokens;
      continue;
    }
    const step = text.push(event.tokenId, event.finish);
    if (step.finish) over.abort("finished"); // With a reason: without, each text would make an exception with a stack.
    const logprobs = event.logprob ? [toWireLogprob(host.codec, event.tokenId, event.logprob)] : [];
    yield { choice, text: step.text, tokenIds: [event.tokenId], logprobs, finish: step.finish, prompt, reusedTokens };
    prompt = [];
    reusedTokens = 0;
    if (step.finish) return;
  }
  assert(false, "a sequence ends with a finish");
}
