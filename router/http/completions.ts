import type { CollectedAnswer, CollectedChoice } from "./collected-answer.ts";
import { type CompletionBody, parseCompletionBody } from "./completion-body.ts";
import { completionLogprobs, usageOf } from "./completion-shape.ts";
import { CompletionStream } from "./completion-stream.ts";
import { type EchoedPrompt, echoedPrompt } from "./echoed-prompt.ts";
import type { Endpoint } from "./endpoint.ts";
import { completionSampling } from "./sampling.ts";
import { TokenOffsets } from "./token-offsets.ts";

const OBJECT = "text_completion";

/** `POST /v1/completions` */
export const completions: Endpoint<CompletionBody> = {
  path: "/v1/completions",
  idPrefix: "cmpl",
  parse: parseCompletionBody,
  promptField: ({ prompts }, question) => (prompts.length === 1 ? "prompt" : `prompt[${question}]`),

  questions(body) {
    const { model, logprobs = 0 } = body;
    if (body.scores) return body.prompts.map((prompt) => ({ kind: "score", request: { model, prompt, logprobs } }));
    const sampling = completionSampling(body);
    const echo = body.echo ?? false;
    return body.prompts.map((prompt) => ({ kind: "generate", request: { model, prompt, sampling, echo, idempotencyKey: "" } }));
  },

  whole(body, answer, heading) {
    const choices = body.prompts.flatMap((prompt, question) => {
      const tokens = answer.prompts.get(question);
      const echo = body.echo && tokens ? echoedPrompt(prompt, tokens) : undefined;
      return bestOf(body, answer, question).map((choice) => ({
        text: (echo?.text ?? "") + choice.text,
        logprobs: body.logprobs === undefined ? null : logprobsOf(choice, echo),
        finish_reason: choice.finish,
      }));
    });
    return { ...heading, object: OBJECT, choices: choices.map((choice, index) => ({ index, ...choice })), usage: usageOf(answer.usage) };
  },

  streaming(body) {
    const streams = body.prompts.map((prompt) => new CompletionStream(body, prompt));
    return {
      chunks({ question, piece }, heading) {
        const choices = streams[question]!.take(piece);
        const first = question * body.choices.made;
        return choices.map((choice) => ({ ...heading, object: OBJECT, choices: [{ ...choice, index: first + choice.index }] }));
      },
      last: (heading) => ({ ...heading, object: OBJECT, choices: [] }),
    };
  },
};

/** Of a question's choices those whose tokens are the likeliest on average, the likeliest first; all of them where as many are kept as made. */
function bestOf({ choices: { kept, made } }: CompletionBody, answer: CollectedAnswer, question: number): readonly CollectedChoice[] {
  const all = answer.choices.filter((choice) => choice.question === question);
  if (kept === made) return all;
  const ranked = all.map((choice) => ({ choice, mean: meanLogprob(choice) })).sort((one, other) => other.mean - one.mean);
  return ranked.slice(0, kept).map(({ choice }) => choice);
}

function meanLogprob({ logprobs }: CollectedChoice): number {
  return logprobs.reduce((sum, token) => sum + token.logprob, 0) / logprobs.length;
}

function logprobsOf(choice: CollectedChoice, echo: EchoedPrompt | undefined) {
  const offsets = new TokenOffsets(echo?.text.length);
  const own = choice.logprobs.map((token) => offsets.take(token.raw));
  return completionLogprobs([...(echo?.tokens ?? []), ...choice.logprobs], [...(echo?.offsets ?? []), ...own], echo !== undefined);
}
