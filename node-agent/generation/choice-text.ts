import { createDetokenizer, createStopMatcher, type TextCodec } from "#model";

/** What one more token did to the text of a choice. */
export interface TextStep {
  /** What became certain; never half a character, never part of a stop string. */
  readonly text: string;
  /** Set when the text has ended. */
  readonly finish: "stop" | "length" | undefined;
}

/** The text of one choice, token by token. Tokens that an earlier attempt delivered are fed first and their text is dropped. */
export interface ChoiceText {
  /** `ending`: what the engine says of this token. A token that stops the text is no part of it. */
  push(tokenId: number, ending: "stop" | "length" | undefined): TextStep;
}

export function createChoiceText(codec: TextCodec, stops: readonly string[]): ChoiceText {
  const detokenizer = createDetokenizer(codec);
  const matcher = createStopMatcher(stops);
  return {
    push(tokenId, ending) {
      const piece = matcher.push(ending === "stop" ? "" : detokenizer.push(tokenId));
      if (piece.stopped) return { text: piece.text, finish: "stop" };
      if (!ending) return { text: piece.text, finish: undefined };
      const rest = matcher.push(detokenizer.end());
      if (rest.stopped) return { text: piece.text + rest.text, finish: "stop" };
      return { text: piece.text + rest.text + matcher.flush(), finish: ending };
    },
  };
}
