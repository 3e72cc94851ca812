import { Fault, NO_USAGE, type Usage } from "#kernel";
import type { GenerateResponse, TokenLogprob } from "#proto";
import type { BatchPiece } from "./batch.ts";
import { type Finish, finishOf } from "./completion-shape.ts";

/** One choice of the answer to one question, put together from its pieces. */
export interface CollectedChoice {
  readonly question: number;
  readonly index: number;
  readonly text: string;
  readonly logprobs: readonly TokenLogprob[];
  readonly finish: Finish;
}

export interface CollectedAnswer {
  readonly first: GenerateResponse;
  /** By question, then by index. */
  readonly choices: readonly CollectedChoice[];
  /** The prompt's tokens by question, where they were asked for. */
  readonly prompts: ReadonlyMap<number, readonly TokenLogprob[]>;
  /** Of all questions. */
  readonly usage: Usage;
}

/** Reads everything: what a request without `stream` answers with. */
export async function collect(pieces: AsyncIterable<BatchPiece>): Promise<CollectedAnswer> {
  let first: GenerateResponse | undefined;
  const choices = new Map<string, ChoiceParts>();
  const prompts = new Map<number, readonly TokenLogprob[]>();
  const usage = new UsageSum();
  for await (const { question, piece } of pieces) {
    first ??= piece;
    usage.take(question, piece.usage);
    if (piece.prompt.length > 0) prompts.set(question, piece.prompt);
    const place = `${question} ${piece.choice}`;
    const choice = choices.get(place) ?? { question, index: piece.choice, texts: [], logprobs: [], finish: null };
    choices.set(place, choice);
    choice.texts.push(piece.text);
    choice.logprobs.push(...piece.logprobs);
    choice.finish = finishOf(piece) ?? choice.finish;
  }
  if (!first) throw new Fault("bug", "a generation ended without a piece");
  const whole = [...choices.values()].map(({ texts, ...choice }) => ({ ...choice, text: texts.join("") }));
  whole.sort((one, other) => one.question - other.question || one.index - other.index);
  return { first, choices: whole, prompts, usage: usage.total };
}

interface ChoiceParts {
  readonly question: number;
  readonly index: number;
  readonly texts: string[];
  readonly logprobs: TokenLogprob[];
  finish: Finish;
}

/** What several questions have come to; each tells its own usage so far with every piece. */
export class UsageSum {
  readonly #byQuestion = new Map<number, Usage>();

  take(question: number, usage: Usage | undefined): void {
    if (usage) this.#byQuestion.set(question, usage);
  }

  get total(): Usage {
    return [...this.#byQuestion.values()].reduce(
      (sum, each) => ({
        promptTokens: sum.promptTokens + each.promptTokens,
        cachedTokens: sum.cachedTokens + each.cachedTokens,
        completionTokens: sum.completionTokens + each.completionTokens,
      }),
      NO_USAGE,
    );
  }
}
