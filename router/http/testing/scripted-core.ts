import { asKeyId, asProjectId, asRequestId, asTenantId, Fault, type RequestId } from "#kernel";
import {
  FinishReason,
  type GenerateRequest,
  type GenerateResponse,
  type Model,
  type ScoreRequest,
  type ScoreResponse,
  type TokenLogprob,
} from "#proto";
import type { Admitted, InferenceCore, Principal } from "../../contract.ts";

const PRINCIPALS: Readonly<Record<string, Principal>> = {
  good: principal("acme", "infer", "train"),
  rival: principal("rival", "infer", "train"),
  infer: principal("acme", "infer"),
  train: principal("acme", "train"),
  operator: { keyId: asKeyId("op"), tenantId: undefined, projectId: undefined, scopes: new Set(["admin"]) },
};
const MODEL: Model = {
  name: "acme/bot",
  owner: "acme",
  createdAtMs: 1_700_000_000_000,
  base: "demo-base",
  root: "ft:demo-base:acme:bot:0123abcd",
};

function principal(tenant: string, ...scopes: ("infer" | "train")[]): Principal {
  return { keyId: asKeyId("k1"), tenantId: asTenantId(tenant), projectId: asProjectId("default"), scopes: new Set(scopes) };
}

/** What the core does with a request: the door's tests say it, so that every case of the door can be shown. */
export interface Script {
  generate(
    request: GenerateRequest,
    signal: AbortSignal,
    onAdmitted: (admitted: Admitted) => void,
    requestId: RequestId,
  ): AsyncIterable<GenerateResponse>;
  score?(request: ScoreRequest, requestId: RequestId): Promise<ScoreResponse>;
}

/** A core that knows a few keys (`good` may infer and train) and one model (`acme/bot`), and generates what the script says. */
export function scriptedCore(script: Script): InferenceCore {
  return {
    async authenticate(credential) {
      if (credential === undefined) throw new Fault("key_missing", "no API key");
      const known = PRINCIPALS[credential];
      if (!known) throw new Fault("key_unknown", "unknown API key");
      return known;
    },
    generate(_principal, request, signal, onAdmitted = () => undefined, { requestId = asRequestId("req_1") } = {}) {
      if (request.model !== MODEL.name)
        throw new Fault("model_unknown", `no model ${request.model}`, { detail: { resource: request.model } });
      return script.generate(request, signal, onAdmitted, requestId);
    },
    score: (_principal, request, _signal, _onAdmitted, { requestId = asRequestId("req_1") } = {}) =>
      script.score?.(request, requestId) ?? Promise.reject(new Fault("op_unsupported", "not scripted")),
    countTokens: () => Promise.reject(new Fault("op_unsupported", "not scripted")),
    listModels: async () => [MODEL],
    async getModel(_principal, name) {
      if (name !== MODEL.name) throw new Fault("model_unknown", `no model ${name}`, { detail: { resource: name } });
      return MODEL;
    },
    ready: () => true,
  };
}

/** A token of that text, with one alternative. */
export function token(text: string, tokenId = 0, logprob = -0.5): TokenLogprob {
  const raw = (of: string) => Buffer.from(of);
  return { tokenId, text, raw: raw(text), logprob, top: [{ tokenId: 9, text: "?", raw: raw("?"), logprob: -2 }] };
}

/** Pieces of one choice: one token each, the last with its finish. */
export function pieces(texts: readonly string[], changes: Partial<GenerateResponse> = {}): GenerateResponse[] {
  return texts.map((text, index) => ({
    requestId: "req_1",
    model: MODEL.root,
    choice: 0,
    text,
    tokenIds: [index],
    logprobs: [token(text, index)],
    finishReason: index === texts.length - 1 ? FinishReason.FINISH_REASON_STOP : FinishReason.FINISH_REASON_UNSPECIFIED,
    usage: { promptTokens: 5, cachedTokens: 0, completionTokens: index + 1 },
    fingerprint: "fp_test",
    prompt: [],
    ...changes,
  }));
}
