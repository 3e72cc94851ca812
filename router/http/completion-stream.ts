import type { GenerateResponse, Prompt } from "#proto";
import type { CompletionBody } from "./completion-body.ts";
import { completionLogprobs, type Finish, finishOf } from "./completion-shape.ts";
import { type EchoedPrompt, echoedPrompt } from "./echoed-prompt.ts";
import { TokenOffsets } from "./token-offsets.ts";

export interface CompletionChunk {
  readonly text: string;
  readonly index: number;
  readonly logprobs: object | null;
  readonly finish_reason: Finish;
}

/**
 * The pieces of one prompt's choices as chunks. With `echo` each choice begins with the prompt, which comes with the first
 * piece of the first choice: until then the others' pieces are held.
 */
export class CompletionStream {
  readonly #body: CompletionBody;
  readonly #prompt: Prompt;
  readonly #held: GenerateResponse[] = [];
  #echo: EchoedPrompt | undefined;
  /** By choice. */
  readonly #offsets = new Map<number, TokenOffsets>();

  constructor(body: CompletionBody, prompt: Prompt) {
    this.#body = body;
    this.#prompt = prompt;
  }

  take(piece: GenerateResponse): readonly CompletionChunk[] {
    if (!this.#body.echo || this.#echo) return this.#chunks(piece);
    if (piece.prompt.length === 0) {
      this.#held.push(piece);
      return [];
    }
    this.#echo = echoedPrompt(this.#prompt, piece.prompt);
    return [piece, ...this.#held.splice(0)].flatMap((each) => this.#chunks(each));
  }

  #chunks(piece: GenerateResponse): readonly CompletionChunk[] {
    const begun = this.#offsets.get(piece.choice);
    const offsets = begun ?? new TokenOffsets(this.#echo?.text.length);
    this.#offsets.set(piece.choice, offsets);
    const wanted = this.#body.logprobs !== undefined;
    const chunk: CompletionChunk = {
      text: piece.text,
      index: piece.choice,
      logprobs: wanted
        ? completionLogprobs(
            piece.logprobs,
            piece.logprobs.map((token) => offsets.take(token.raw)),
          )
        : null,
      finish_reason: finishOf(piece),
    };
    if (begun || !this.#echo) return [chunk];
    const { text, tokens, offsets: places } = this.#echo;
    const logprobs = wanted ? completionLogprobs(tokens, places, true) : null;
    return [{ text, index: piece.choice, logprobs, finish_reason: null }, chunk];
  }
}
