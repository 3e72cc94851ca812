import { Fault } from "#kernel";
import type { BaseInfo, TextCodec } from "#model";
import type { Example } from "../training/example.ts";
import type { TrainingMessage, TrainingRecord } from "./rows.ts";

/** What a record is encoded for. */
export interface TrainingBase {
  readonly codec: TextCodec;
  readonly info: Pick<BaseInfo, "name" | "contextTokensMax" | "bosTokenId" | "eosTokenIds" | "parameterCount">;
}

export interface EncodeOptions {
  /** What tokens of the prompt count in the loss; those of the answer count 1. Default 0. */
  readonly promptLossWeight?: number;
}

/**
 * A record as tokens. Everything before an answer is encoded as serving would encode it as a prompt; the answer follows
 * with the token that ends it, as serving would generate it. A completion is one example. A conversation is one too,
 * unless the base's template shows an earlier answer otherwise later on (some leave out its reasoning): then each answer
 * that is learned is an example of its own. What comes after the last learned answer is left out.
 *
 * @throws Fault context_too_long; prompt_malformed when the template refuses the messages; parameter_unsupported when
 * the base has none
 */
export async function encodeRecord(base: TrainingBase, record: TrainingRecord, options: EncodeOptions = {}): Promise<readonly Example[]> {
  const promptWeight = options.promptLossWeight ?? 0;
  const examples =
    "messages" in record
      ? await encodeConversation(base, record.messages, promptWeight)
      : [await encodeCompletion(base, record.prompt, record.completion, promptWeight)];
  for (const { tokenIds } of examples) {
    const { contextTokensMax } = base.info;
    if (tokenIds.length <= contextTokensMax) continue;
    throw new Fault("context_too_long", `has ${tokenIds.length} tokens, more than the ${contextTokensMax} of the base's context`);
  }
  return examples;
}

async function encodeCompletion(base: TrainingBase, prompt: string, completion: string, promptWeight: number): Promise<Example> {
  const draft = new Draft();
  draft.add(await promptTokens(base, prompt), promptWeight);
  draft.add(await base.codec.encode(completion, { addSpecialTokens: false }), 1);
  draft.add(base.info.eosTokenIds.slice(0, 1), 1);
  return draft;
}

/** Without any token before it, the first of the answer could not be learned; serving begins an empty prompt likewise. */
async function promptTokens({ codec, info }: TrainingBase, prompt: string): Promise<readonly number[]> {
  const tokenIds = await codec.encode(prompt);
  if (tokenIds.length > 0) return tokenIds;
  const start = info.bosTokenId ?? info.eosTokenIds[0];
  return start === undefined ? [] : [start];
}

async function encodeConversation(base: TrainingBase, messages: readonly TrainingMessage[], promptWeight: number): Promise<Draft[]> {
  const { codec } = base;
  const spoken = messages.map(({ role, content }) => ({ role: role === "developer" ? "system" : role, content }));
  const drafts: Draft[] = [];
  /** The text of the last draft; undefined when the next answer can't go on from it. */
  let written: string | undefined;
  for (const [index, { role, content, weight }] of messages.entries()) {
    if (role !== "assistant" || weight === 0) continue;
    const prefix = codec.renderChat(spoken.slice(0, index), { addGenerationPrompt: true });
    if (written === undefined || !prefix.startsWith(written)) {
      drafts.push(new Draft());
      written = "";
    }
    const draft = drafts.at(-1)!;
    draft.add(await codec.encode(prefix.slice(written.length), { addSpecialTokens: false }), promptWeight);
    const whole = codec.renderChat(spoken.slice(0, index + 1), { addGenerationPrompt: false });
    const continues = whole.startsWith(prefix);
    const answer = await codec.encode(continues ? whole.slice(prefix.length) : content, { addSpecialTokens: false });
    written = addAnswer(draft, answer, base.info.eosTokenIds, promptWeight) && continues ? whole : undefined;
  }
  return drafts;
}

/** Learned up to the token that ends it; what the template puts behind that belongs to the next prompt. Says whether the template ended it. */
function addAnswer(draft: Draft, answer: readonly number[], eosTokenIds: readonly number[], promptWeight: number): boolean {
  const end = answer.findIndex((tokenId) => eosTokenIds.includes(tokenId));
  if (end < 0) {
    draft.add(answer, 1);
    draft.add(eosTokenIds.slice(0, 1), 1);
    return false;
  }
  draft.add(answer.slice(0, end + 1), 1);
  draft.add(answer.slice(end + 1), promptWeight);
  return true;
}

/** An example that is being written. */
class Draft implements Example {
  readonly tokenIds: number[] = [];
  readonly weights: number[] = [];

  add(tokenIds: readonly number[], weight: number): void {
    for (const tokenId of tokenIds) {
      this.tokenIds.push(tokenId);
      this.weights.push(weight);
    }
  }
}
