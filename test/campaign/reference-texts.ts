import { type GrpcChannel, InferenceServiceService } from "#proto";
import type { Ask } from "./ask.ts";
import { generateRequest } from "./grpc-client.ts";

/** What a request must give, as an undisturbed run gave it. */
export interface Reference {
  readonly text: string;
  readonly tokenIds: readonly number[];
  readonly promptTokens: number;
}

/** References by {@link referenceKey}. */
export type References = ReadonlyMap<string, Reference>;

export function referenceKey({ model, prompt, maxTokens, temperature, seed }: Ask): string {
  return JSON.stringify([model, prompt, maxTokens, temperature, seed]);
}

const AT_ONCE = 8;

/** Asks for everything once, while nothing disturbs. */
export async function recordReferences(asks: readonly { readonly channel: GrpcChannel; readonly ask: Ask }[]): Promise<References> {
  const references = new Map<string, Reference>();
  const left = [...asks];
  const worker = async () => {
    for (let next = left.pop(); next; next = left.pop()) references.set(referenceKey(next.ask), await record(next.channel, next.ask));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  expectDistinct(
    asks.map(({ ask }) => ask),
    references,
  );
  return references;
}

async function record(channel: GrpcChannel, ask: Ask): Promise<Reference> {
  let text = "";
  const tokenIds: number[] = [];
  let promptTokens = 0;
  for await (const piece of channel.serverStream(InferenceServiceService.generate, generateRequest(ask))) {
    text += piece.text;
    tokenIds.push(...piece.tokenIds);
    promptTokens = piece.usage?.promptTokens ?? promptTokens;
  }
  return { text, tokenIds, promptTokens };
}

/** Texts tell models apart only if no two models answer a prompt alike. */
function expectDistinct(asks: readonly Ask[], references: References): void {
  const owners = new Map<string, string>();
  for (const ask of asks) {
    const answer = JSON.stringify([ask.prompt, references.get(referenceKey(ask))!.text]);
    const owner = owners.get(answer);
    if (owner !== undefined && owner !== ask.model) throw new Error(`${owner} and ${ask.model} answer ${JSON.stringify(ask.prompt)} alike`);
    owners.set(answer, ask.model);
  }
}
