import { type Bytes, NO_USAGE, type Usage } from "#kernel";
import { FinishReason, GenerateResponse, TokenLogprob } from "#proto";

/** The wire's way to write a token's id, at the most. */
const TOKEN_BYTES: Bytes = 5;

/** An answer as it was given, with all pieces of one choice in one. */
export class RecordedAnswer {
  readonly #choices = new Map<number, GenerateResponse>();
  #usage: Usage = NO_USAGE;
  #sizeBytes: Bytes = 0;

  /** About what it takes in memory and in the store. */
  get sizeBytes(): Bytes {
    return this.#sizeBytes;
  }

  take(piece: GenerateResponse): void {
    const before = this.#choices.get(piece.choice);
    if (piece.usage) this.#usage = piece.usage;
    this.#sizeBytes += sizeOf(piece);
    if (!before) {
      this.#choices.set(piece.choice, { ...piece, tokenIds: [...piece.tokenIds], logprobs: [...piece.logprobs] });
      return;
    }
    before.text += piece.text;
    before.tokenIds.push(...piece.tokenIds);
    before.logprobs.push(...piece.logprobs);
    before.finishReason = piece.finishReason;
  }

  /** One for each choice, in order. */
  pieces(): readonly GenerateResponse[] {
    let completionTokens = 0;
    return [...this.#choices.values()]
      .sort((one, other) => one.choice - other.choice)
      .map((piece) => {
        completionTokens += piece.tokenIds.length;
        return { ...piece, usage: { ...this.#usage, completionTokens } };
      });
  }
}

/** Of whole pieces; reads as it was written. */
export function encodeAnswer(pieces: readonly GenerateResponse[]): string {
  return pieces.map((piece) => Buffer.from(GenerateResponse.encode(piece).finish()).toString("base64")).join("\n");
}

export function decodeAnswer(answer: string): readonly GenerateResponse[] {
  return answer.split("\n").map((line) => GenerateResponse.decode(Buffer.from(line, "base64")));
}

/** Whether the piece is the last of its choice. */
export function ends(piece: GenerateResponse): boolean {
  return piece.finishReason !== FinishReason.FINISH_REASON_UNSPECIFIED;
}

function sizeOf({ text, tokenIds, logprobs, prompt }: GenerateResponse): Bytes {
  const told = [...logprobs, ...prompt].reduce((sum, each) => sum + TokenLogprob.encode(each).finish().length, 0);
  return Buffer.byteLength(text) + tokenIds.length * TOKEN_BYTES + told;
}
