import type { Call } from "../call.ts";
import { shellQuoted } from "./shell-quoted.ts";
import type { Place } from "./snippet.ts";

/** Where routers listen for gRPC unless they are told otherwise. */
const GRPC_PORT = 50051;
/** OpenAI's default for completions; the wire's own is another. */
const COMPLETION_MAX_TOKENS = 16;
const UINT64 = 1n << 64n;

/** The same call as a `GenerateRequest`. */
export function grpcurlSnippet(call: Call, { hostname, encrypted }: Place): string {
  return [
    `grpcurl${encrypted ? "" : " -plaintext"} -H "Authorization: Bearer $DELTAPLANE_API_KEY" \\`,
    `  -d ${shellQuoted(JSON.stringify(generateRequest(call), null, 2))} \\`,
    `  ${hostname}:${GRPC_PORT} deltaplane.v1.InferenceService/Generate`,
  ].join("\n");
}

function generateRequest({ path, body }: Call): object {
  const chat = path === "/v1/chat/completions";
  const { model, prompt, messages, max_tokens, max_completion_tokens, logprobs, top_logprobs, seed, ...sampling } = body;
  const maxTokens = chat ? max_completion_tokens : (max_tokens ?? COMPLETION_MAX_TOKENS);
  const alternatives = chat ? top_logprobs : logprobs;
  return {
    model,
    prompt: chat ? { chat: { messages } } : { text: prompt },
    sampling: {
      ...(maxTokens !== undefined && { maxTokens }),
      ...Object.fromEntries(Object.entries(sampling).map(([name, value]) => [camelCase(name), value])),
      ...(seed !== undefined && { seed: ((BigInt(seed as number) + UINT64) % UINT64).toString() }),
      ...(alternatives !== undefined && { logprobs: alternatives }),
    },
  };
}

/** As the wire's JSON spells its fields. */
function camelCase(name: string): string {
  return name.replace(/_(\w)/g, (_match, letter: string) => letter.toUpperCase());
}
