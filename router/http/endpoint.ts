import type { GenerateRequest, GenerateResponse, Usage } from "#proto";
import type { Heading } from "./completion-shape.ts";

/** What every inference body has. */
export interface StreamingBody {
  readonly stream?: boolean | undefined;
  readonly stream_options?: { readonly include_usage?: boolean | undefined } | undefined;
}

/** How the pieces of one request become events; holds what has to be remembered between pieces. */
export interface Streaming {
  piece(piece: GenerateResponse, heading: Heading): readonly object[];
  usage(heading: Heading, usage: Usage | undefined): object;
}

/** One of OpenAI's two ways to ask for text: the same work in two shapes. */
export interface Endpoint<Body extends StreamingBody> {
  readonly path: string;
  /** Of the object's id: `cmpl-…`, `chatcmpl-…`. */
  readonly idPrefix: string;
  parse(body: unknown): Body;
  toRequest(body: Body): GenerateRequest;
  whole(body: Body, pieces: AsyncIterable<GenerateResponse>, heading: (first: GenerateResponse) => Heading): Promise<object>;
  streaming(body: Body): Streaming;
}
