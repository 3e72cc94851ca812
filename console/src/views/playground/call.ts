import type { Settings } from "./settings.ts";

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** What is asked: a text to go on with, or a conversation. */
export type Asked =
  | { readonly kind: "prompt"; readonly prompt: string }
  | { readonly kind: "chat"; readonly messages: readonly ChatMessage[] };

/** One call of the API, as any client would make it. */
export interface Call {
  readonly path: "/v1/completions" | "/v1/chat/completions";
  readonly body: Readonly<Record<string, unknown>>;
}

/** Completions have 5 at most, and more than these nobody reads. */
const ALTERNATIVES = 5;

/** The call that the settings stand for: what is sent, and what "view code" shows. */
export function callOf(model: string, asked: Asked, settings: Settings, probabilities: boolean): Call {
  const { max_tokens, stop, ignore_eos, ...sampling } = settings;
  const shared = {
    ...Object.fromEntries(Object.entries(sampling).filter(([, value]) => value !== undefined)),
    ...(stop.length > 0 && { stop }),
    ...(ignore_eos && { ignore_eos }),
  };
  const length = max_tokens !== undefined;
  if (asked.kind === "prompt") {
    const body = {
      model,
      prompt: asked.prompt,
      ...(length && { max_tokens }),
      ...shared,
      ...(probabilities && { logprobs: ALTERNATIVES }),
    };
    return { path: "/v1/completions", body };
  }
  const { messages } = asked;
  const logprobs = probabilities && { logprobs: true, top_logprobs: ALTERNATIVES };
  return {
    path: "/v1/chat/completions",
    body: { model, messages, ...(length && { max_completion_tokens: max_tokens }), ...shared, ...logprobs },
  };
}
