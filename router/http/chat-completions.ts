import type { GenerateRequest, GenerateResponse } from "#proto";
import { collect } from "./collected-choice.ts";
import { chatLogprobs, finishOf, type Heading, usageOf } from "./completion-shape.ts";
import type { Endpoint } from "./endpoint.ts";
import { ChatBody, parseBody } from "./request-body.ts";
import { chatSampling } from "./sampling.ts";

const CHUNK = "chat.completion.chunk";

/** `POST /v1/chat/completions` */
export const chatCompletions: Endpoint<ChatBody> = {
  path: "/v1/chat/completions",
  idPrefix: "chatcmpl",
  parse: (body) => parseBody(ChatBody, body),

  toRequest(body): GenerateRequest {
    return { model: body.model, prompt: { kind: { $case: "chat", value: { messages: body.messages } } }, sampling: chatSampling(body) };
  },

  async whole(body, pieces, heading) {
    const { first, choices, usage } = await collect(pieces);
    return {
      ...heading(first),
      object: "chat.completion",
      choices: choices.map((choice) => ({
        index: choice.index,
        message: { role: "assistant", content: choice.text, refusal: null },
        logprobs: body.logprobs ? chatLogprobs(choice.logprobs) : null,
        finish_reason: choice.finish,
      })),
      usage: usageOf(usage),
    };
  },

  /** Per choice: the role first, then contents, then an empty delta with the finish reason. */
  streaming(body) {
    const opened = new Set<number>();
    const chunk = (heading: Heading, index: number, delta: object, finish: string | null, logprobs: object | null = null) => ({
      ...heading,
      object: CHUNK,
      choices: [{ index, delta, logprobs, finish_reason: finish }],
    });
    return {
      piece(piece: GenerateResponse, heading: Heading) {
        const chunks: object[] = [];
        if (!opened.has(piece.choice)) {
          opened.add(piece.choice);
          chunks.push(chunk(heading, piece.choice, { role: "assistant", content: "" }, null));
        }
        const logprobs = body.logprobs ? chatLogprobs(piece.logprobs) : null;
        if (piece.text !== "" || logprobs?.content.length)
          chunks.push(chunk(heading, piece.choice, { content: piece.text }, null, logprobs));
        const finish = finishOf(piece);
        if (finish !== null) chunks.push(chunk(heading, piece.choice, {}, finish));
        return chunks;
      },
      usage: (heading, usage) => ({ ...heading, object: CHUNK, choices: [], usage: usageOf(usage) }),
    };
  },
};
