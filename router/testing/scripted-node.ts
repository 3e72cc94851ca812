import { Fault, type FaultReason, sha256Hex } from "#kernel";
import { FinishReason, type InspectRequest, type NodeServiceGenerateRequest, type NodeServiceGenerateResponse, type Usage } from "#proto";
import type { NodeClient } from "../nodes/index.ts";

/** How one attempt on a node ends before its time: after so many pieces, with this fault. */
export interface Death {
  readonly afterPieces: number;
  readonly reason: FaultReason | "early_end";
}

export interface NodeScript {
  /** Asked at each attempt; undefined lets it run to its end. */
  readonly death?: (request: NodeServiceGenerateRequest) => Death | undefined;
  /** Waited for before each piece. */
  readonly pace?: (signal: AbortSignal) => Promise<void>;
  /** Waited for after the last piece, before the stream ends: a node's own claim. */
  readonly ending?: () => Promise<void>;
  /** What `inspect` does before it answers. */
  readonly inspection?: (signal: AbortSignal) => Promise<void>;
}

export interface ScriptedNode extends NodeClient {
  readonly generated: readonly NodeServiceGenerateRequest[];
  readonly attached: readonly Parameters<NodeClient["attach"]>[0][];
  readonly detached: readonly Parameters<NodeClient["detach"]>[0][];
  readonly inspected: readonly InspectRequest[];
}

export const PROMPT_TOKENS = 7;

/**
 * A node whose text is a function of prompt, seed, choice and position, so that two nodes say the same. Now and then a
 * token's text comes with a later one, as half a character's would; a choice ends by itself or at max_tokens.
 */
export function scriptedNode(script: NodeScript = {}): ScriptedNode {
  const generated: NodeServiceGenerateRequest[] = [];
  const attached: Parameters<NodeClient["attach"]>[0][] = [];
  const detached: Parameters<NodeClient["detach"]>[0][] = [];
  const inspected: InspectRequest[] = [];
  return {
    generated,
    attached,
    detached,
    inspected,
    generate(request, signal) {
      generated.push(request);
      return generate(script, request, signal);
    },
    async score({ prompt }) {
      const ids = prompt?.kind?.$case === "tokens" ? prompt.kind.value.ids : [];
      const tokens = ids.map((tokenId) => ({ tokenId, text: "", raw: Buffer.alloc(0), logprob: -1, top: [] }));
      return { tokens, usage: { promptTokens: ids.length, cachedTokens: 0, completionTokens: 0 } };
    },
    countTokens: async ({ prompt }) => ({ tokens: prompt?.kind?.$case === "tokens" ? prompt.kind.value.ids.length : PROMPT_TOKENS }),
    attachBase: async ({ name, directory }) => ({
      base: {
        ...{ name, directory, digest: sha256Hex(directory), architecture: "llama", contextTokensMax: 512 },
        ...{ vocabularySize: 1000, parameterCount: 1_000_000, weightType: "float32" },
      },
    }),
    async inspect(request, signal) {
      inspected.push(request);
      await script.inspection?.(signal);
      return { rank: 8, sizeBytes: 4096, targets: ["self_attn.q_proj"] };
    },
    async attach(request) {
      attached.push(request);
    },
    async detach(request) {
      detached.push(request);
    },
    drain: async () => undefined,
    resume: async () => undefined,
  };
}

async function* generate(
  script: NodeScript,
  request: NodeServiceGenerateRequest,
  signal: AbortSignal,
): AsyncGenerator<NodeServiceGenerateResponse> {
  const death = script.death?.(request);
  let pieces = 0;
  let completionTokens = request.progress.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0);
  for (const next of rounds(request)) {
    if (death?.afterPieces === pieces++) {
      if (death.reason === "early_end") return;
      throw new Fault(death.reason, "as scripted");
    }
    await script.pace?.(signal);
    signal.throwIfAborted();
    completionTokens += next.tokenIds.length;
    const usage: Usage = { promptTokens: PROMPT_TOKENS, cachedTokens: 2, completionTokens };
    yield { ...next, usage, residency: request.delta ? "ram" : "", fingerprint: "scripted", logprobs: [], prompt: [] };
  }
  await script.ending?.();
}

type Piece = Pick<NodeServiceGenerateResponse, "choice" | "text" | "tokenIds" | "finishReason">;

/** One token of each choice in turn, until all have ended. */
function* rounds(request: NodeServiceGenerateRequest): Generator<Piece> {
  const open = Array.from({ length: request.sampling?.n ?? 1 }, (_, choice) => {
    const progress = request.progress.find((known) => known.choice === choice);
    return { choice, position: progress?.tokenIds.length ?? 0, finished: progress?.finished ?? false };
  }).filter(({ finished }) => !finished);
  while (open.length > 0) {
    for (const state of [...open]) {
      const piece = pieceAt(request, state.choice, state.position++);
      yield piece;
      if (piece.finishReason !== FinishReason.FINISH_REASON_UNSPECIFIED) open.splice(open.indexOf(state), 1);
    }
  }
}

function pieceAt(request: NodeServiceGenerateRequest, choice: number, position: number): Piece {
  const token = (at: number) =>
    Number.parseInt(sha256Hex(JSON.stringify([request.prompt, request.sampling?.seed, choice, at])).slice(0, 6), 16);
  const heldBack = (at: number) => at >= 0 && token(at) % 3 === 0;
  const own = (at: number) => `${choice}.${at} `;
  const last = position + 1 >= (request.sampling?.maxTokens ?? 256);
  const stops = token(position) % 50 === 0;
  let text = last || stops || !heldBack(position) ? own(position) : "";
  if (text !== "") for (let at = position - 1; heldBack(at); at--) text = own(at) + text;
  const finishReason = stops
    ? FinishReason.FINISH_REASON_STOP
    : last
      ? FinishReason.FINISH_REASON_LENGTH
      : FinishReason.FINISH_REASON_UNSPECIFIED;
  return { choice, text, tokenIds: [token(position)], finishReason };
}
