import { type ChatBody, parseChatBody } from "./chat-body.ts";
import { chatLogprobs, type Finish, finishOf, type Heading, usageOf } from "./completion-shape.ts";
import type { Endpoint } from "./endpoint.ts";
import { chatSampling } from "./sampling.ts";

const CHUNK = "chat.completion.chunk";

/** `POST /v1/chat/completions` */
export const chatCompletions: Endpoint<ChatBody> = {
  path: "/v1/chat/completions",
  idPrefix: "chatcmpl",
  parse: parseChatBody,
  promptField: () => "messages",

  questions(body) {
    const prompt = { kind: { $case: "chat" as const, value: { messages: [...body.messages] } } };
    return [{ kind: "generate", request: { model: body.model, prompt, sampling: chatSampling(body), echo: false, idempotencyKey: "" } }];
  },

  whole(body, { choices, usage }, heading) {
    return {
      ...heading,
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
    const chunk = (heading: Heading, index: number, delta: object, finish: Finish, logprobs: object | null = null) => ({
      ...heading,
      object: CHUNK,
      choices: [{ index, delta, logprobs, finish_reason: finish }],
    });
    return {
      chunks({ piece }, heading) {
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
      last: (heading) => ({ ...heading, object: CHUNK, choices: [] }),
    };
  },
};
