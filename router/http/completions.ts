import type { GenerateRequest, GenerateResponse } from "#proto";
import { collect } from "./collected-choice.ts";
import { completionLogprobs, finishOf, type Heading, usageOf } from "./completion-shape.ts";
import type { Endpoint } from "./endpoint.ts";
import { CompletionBody, parseBody } from "./request-body.ts";
import { completionSampling } from "./sampling.ts";

/** `POST /v1/completions` */
export const completions: Endpoint<CompletionBody> = {
  path: "/v1/completions",
  idPrefix: "cmpl",
  parse: (body) => parseBody(CompletionBody, body),

  toRequest(body): GenerateRequest {
    const given = body.prompt;
    const prompt = Array.isArray(given) && given.length === 1 && typeof given[0] !== "number" ? given[0]! : (given as string | number[]);
    return {
      model: body.model,
      prompt: { kind: typeof prompt === "string" ? { $case: "text", value: prompt } : { $case: "tokens", value: { ids: prompt } } },
      sampling: completionSampling(body),
    };
  },

  async whole(body, pieces, heading) {
    const { first, choices, usage } = await collect(pieces);
    return {
      ...heading(first),
      object: "text_completion",
      choices: choices.map((choice) => ({
        text: choice.text,
        index: choice.index,
        logprobs: body.logprobs === undefined ? null : completionLogprobs(choice.logprobs, 0),
        finish_reason: choice.finish,
      })),
      usage: usageOf(usage),
    };
  },

  streaming(body) {
    const written: number[] = [];
    return {
      piece(piece: GenerateResponse, heading: Heading) {
        const offset = written[piece.choice] ?? 0;
        written[piece.choice] = offset + piece.text.length;
        const logprobs = body.logprobs === undefined ? null : completionLogprobs(piece.logprobs, offset);
        return [
          {
            ...heading,
            object: "text_completion",
            choices: [{ text: piece.text, index: piece.choice, logprobs, finish_reason: finishOf(piece) }],
          },
        ];
      },
      usage: (heading, usage) => ({ ...heading, object: "text_completion", choices: [], usage: usageOf(usage) }),
    };
  },
};
