import type { GenerateResponse, TokenLogprob, Usage } from "#proto";
import { finishOf } from "./completion-shape.ts";

/** One choice, put together from its pieces. */
export interface CollectedChoice {
  readonly index: number;
  readonly text: string;
  readonly logprobs: readonly TokenLogprob[];
  readonly finish: "stop" | "length" | null;
}

export interface Collected {
  readonly first: GenerateResponse;
  readonly choices: readonly CollectedChoice[];
  readonly usage: Usage | undefined;
}

/** Reads a whole generation: what a request without `stream` answers with. */
export async function collect(pieces: AsyncIterable<GenerateResponse>): Promise<Collected> {
  let first: GenerateResponse | undefined;
  let usage: Usage | undefined;
  const choices: { index: number; texts: string[]; logprobs: TokenLogprob[]; finish: "stop" | "length" | null }[] = [];
  for await (const piece of pieces) {
    first ??= piece;
    usage = piece.usage;
    choices[piece.choice] ??= { index: piece.choice, texts: [], logprobs: [], finish: null };
    const choice = choices[piece.choice]!;
    choice.texts.push(piece.text);
    choice.logprobs.push(...piece.logprobs);
    choice.finish = finishOf(piece) ?? choice.finish;
  }
  return { first: first!, usage, choices: choices.map(({ texts, ...choice }) => ({ ...choice, text: texts.join("") })) };
}
