import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { Fault, shapeWords } from "#kernel";
import type { Preparations } from "../fine-tuning/index.ts";
import { fileShape } from "./file-routes.ts";
import { invalidField, nullable, text } from "./request-body.ts";

export interface PreparationRouteDeps {
  readonly preparations: Preparations;
}

/** More than there are checks. */
const DECLINED_MAX = 32;

const Body = z.object({
  file: text,
  model: text,
  format: nullable(z.enum(["completion", "chat"])),
  declined: nullable(z.array(text).max(DECLINED_MAX)),
  split: nullable(z.boolean()),
});

/**
 * `POST /v1/fine_tuning/preparations`: checks an uploaded file and cleans it up for training, as `deltaplane data prepare` does. What
 * is recommended is done, but for the checks in `declined`; a file that had to be changed is a new one.
 */
export function addPreparationRoutes(server: FastifyInstance, { preparations }: PreparationRouteDeps): void {
  server.post("/v1/fine_tuning/preparations", async ({ principal, body }, reply) => {
    const read = Body.safeParse(body, { error: shapeWords });
    if (!read.success) throw invalidField(read.error.issues[0]!.path.join(".") || "body", read.error.issues[0]!.message);
    const { file, model, format: kind, declined = [], split = false } = read.data;
    const gone = new AbortController();
    reply.raw.once("close", () => gone.abort(new Fault("client_gone", "the client went away")));
    const wish = { file, model, kind, declined: new Set(declined), split };
    const { report, trainingFile, validationFile } = await preparations.prepare(principal, wish, gone.signal);
    const { tokens, steps, classes, separator, stop, epochsReason, trainedTokens, estimatedSeconds, ...facts } = report;
    return {
      object: "fine_tuning.preparation",
      ...facts,
      classes: classes ?? null,
      tokens: { total: tokens.total, median: tokens.median, longest: tokens.longest, longest_line: tokens.longestLine },
      steps: steps.map(({ dropped, ...step }) => ({
        ...step,
        dropped: dropped ? { rows: dropped.rows, first_lines: dropped.firstLines } : null,
      })),
      separator: separator ?? null,
      stop: stop ?? null,
      ...{ epochs_reason: epochsReason, trained_tokens: trainedTokens, estimated_seconds: estimatedSeconds },
      training_file: fileShape(trainingFile),
      validation_file: validationFile ? fileShape(validationFile) : null,
    };
  });
}
