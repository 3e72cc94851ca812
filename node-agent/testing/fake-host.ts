import { type Claim, type ClaimOutbox, NO_TRACER, seededRandom, type Usage, VirtualClock } from "#kernel";
import { openTextCodec } from "#model";
import { NodeServiceGenerateRequest, type NodeServiceGenerateResponse, type Prompt, Sampling } from "#proto";
import type { BaseHost } from "../base-host.ts";
import { BaseWork } from "../base-work.ts";
import { DeltaDemand } from "../delta-demand.ts";
import type { GenerationDeps } from "../generation/index.ts";
import { FakeEngine } from "./fake-engine.ts";
import { GOLDEN_BASE, goldenInfo } from "./golden-base.ts";

export type FakeHost = Awaited<ReturnType<typeof openFakeHost>>;

/** A base with a real tokenizer and a fake engine, and everything that generation needs. */
export async function openFakeHost() {
  const info = await goldenInfo();
  const codec = await openTextCodec(GOLDEN_BASE, info);
  const engine = new FakeEngine(info);
  const clock = new VirtualClock();
  const claims: Claim[] = [];
  const endings: string[] = [];
  const usages: Usage[] = [];
  let uses = 0;
  const outbox: Pick<ClaimOutbox, "write"> = {
    write: async (claim) => void claims.push(claim),
  };
  const host = {
    info,
    codec,
    defaults: {},
    work: new BaseWork(clock, new DeltaDemand(clock)),
    fingerprint: () => "fp_test",
    use: async () => ({ engine, slot: undefined, arrival: "slot", sequencePrefix: String(++uses), release: () => undefined }),
  } as unknown as BaseHost;
  const deps: GenerationDeps = {
    clock,
    random: seededRandom(7),
    claims: outbox,
    nodeId: "node-1" as GenerationDeps["nodeId"],
    observer: {
      firstToken: () => undefined,
      nextToken: () => undefined,
      ended: (_base, ending, usage) => {
        endings.push(ending);
        usages.push(usage);
      },
    },
    tracer: NO_TRACER,
  };
  return { host, engine, deps, claims, endings, usages, clock, codec, info };
}

export const textPrompt = (text: string): Prompt => ({ kind: { $case: "text", value: text } });

/** A greedy request of twelve tokens, with what is different. */
export function generateRequest(
  different: Partial<NodeServiceGenerateRequest> = {},
  sampling: Partial<Sampling> = {},
): NodeServiceGenerateRequest {
  return {
    ...NodeServiceGenerateRequest.create({ requestId: "request-1", attempt: 0, tenantId: "acme", priceVersion: 3, admittedAtMs: 1000 }),
    baseDigest: "b",
    prompt: textPrompt("Hello"),
    sampling: { ...Sampling.create({}), temperature: 0, maxTokens: 12, seed: "1", ...sampling },
    ...different,
  };
}

/** The choices of a stream, each as one text with all it told. */
export function choicesOf(messages: readonly NodeServiceGenerateResponse[]) {
  const choices: { text: string; tokenIds: number[]; finishReason: number; logprobs: NodeServiceGenerateResponse["logprobs"] }[] = [];
  for (const message of messages) {
    choices[message.choice] ??= { text: "", tokenIds: [], finishReason: 0, logprobs: [] };
    const choice = choices[message.choice]!;
    choice.text += message.text;
    choice.tokenIds.push(...message.tokenIds);
    choice.logprobs.push(...message.logprobs);
    choice.finishReason = message.finishReason;
  }
  return choices;
}
