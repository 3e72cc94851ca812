import { asKeyId, asTenantId, Fault } from "#kernel";
import { FinishReason, type GenerateRequest, type GenerateResponse, type Model } from "#proto";
import type { InferenceCore, Principal } from "../../contract.ts";

const PRINCIPAL: Principal = { keyId: asKeyId("k1"), tenantId: asTenantId("acme"), scopes: new Set(["infer"]) };
const MODEL: Model = {
  name: "acme/bot",
  owner: "acme",
  createdAtMs: 1_700_000_000_000,
  base: "demo-base",
  root: "ft:demo-base:acme:bot:0123abcd",
};

/** What the core does with a request: the door's tests say it, so that every case of the door can be shown. */
export interface Script {
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateResponse>;
}

/** A core that knows one key (`good`) and one model (`acme/bot`), and generates what the script says. */
export function scriptedCore(script: Script): InferenceCore {
  return {
    async authenticate(credential) {
      if (credential === undefined) throw new Fault("key_missing", "no API key");
      if (credential !== "good") throw new Fault("key_unknown", "unknown API key");
      return PRINCIPAL;
    },
    generate(_principal, request, signal) {
      if (request.model !== MODEL.name)
        throw new Fault("model_unknown", `no model ${request.model}`, { detail: { resource: request.model } });
      return script.generate(request, signal);
    },
    score: () => Promise.reject(new Fault("op_unsupported", "not scripted")),
    countTokens: () => Promise.reject(new Fault("op_unsupported", "not scripted")),
    listModels: async () => [MODEL],
    async getModel(_principal, name) {
      if (name !== MODEL.name) throw new Fault("model_unknown", `no model ${name}`, { detail: { resource: name } });
      return MODEL;
    },
    ready: () => true,
  };
}

/** Pieces of one choice: one token each, the last with its finish. */
export function pieces(texts: readonly string[], promptTokens = 5): GenerateResponse[] {
  return texts.map((text, index) => ({
    requestId: "req_1",
    model: MODEL.root,
    choice: 0,
    text,
    tokenIds: [index],
    logprobs: [
      { tokenId: index, text, raw: Buffer.from(text), logprob: -0.5, top: [{ tokenId: 9, text: "?", raw: Buffer.from("?"), logprob: -2 }] },
    ],
    finishReason: index === texts.length - 1 ? FinishReason.FINISH_REASON_STOP : FinishReason.FINISH_REASON_UNSPECIFIED,
    usage: { promptTokens, cachedTokens: 0, completionTokens: index + 1 },
    fingerprint: "fp_test",
  }));
}
