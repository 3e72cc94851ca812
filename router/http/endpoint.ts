import type { GenerateRequest, ScoreRequest } from "#proto";
import type { BatchPiece } from "./batch.ts";
import type { CollectedAnswer } from "./collected-answer.ts";
import type { Heading } from "./completion-shape.ts";

/** What every inference body has. */
export interface StreamingBody {
  readonly stream?: boolean | undefined;
  readonly stream_options?:
    | { readonly include_usage?: boolean | undefined; readonly continuous_usage_stats?: boolean | undefined }
    | undefined;
}

/** What is asked of the core: a request has one question, or one for each of its prompts. */
export type Question =
  | { readonly kind: "generate"; readonly request: GenerateRequest }
  /** Answered with one piece: the prompt. */
  | { readonly kind: "score"; readonly request: ScoreRequest };

/** How the pieces of one request become chunks, but for their usage; holds what has to be remembered between pieces. */
export interface Streaming {
  chunks(from: BatchPiece, heading: Heading): readonly object[];
  /** The one that only brings the usage. */
  last(heading: Heading): object;
}

/** One of OpenAI's two ways to ask for text: the same work in two shapes. */
export interface Endpoint<Body extends StreamingBody> {
  readonly path: string;
  /** Of the object's id: `cmpl-…`, `chatcmpl-…`. */
  readonly idPrefix: string;
  parse(json: unknown): Body;
  questions(body: Body): readonly Question[];
  /** What the client calls the prompt of a question: `prompt`, `prompt[2]`, `messages`. */
  promptField(body: Body, question: number): string;
  whole(body: Body, answer: CollectedAnswer, heading: Heading): object;
  streaming(body: Body): Streaming;
}
