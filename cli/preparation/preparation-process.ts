import { setPriority } from "node:os";
import { faultMessage } from "#kernel";
import { openCheckpoint, openTextCodec } from "#model";
import { chooseEpochs, estimateTrainingMs, prepareData } from "#trainer";
import type { PreparationNews, PreparationOrder } from "./preparation-messages.ts";

/**
 * Prepares one file and ends: in a process of its own, so that neither a large file nor a hostile one is the router's trouble.
 * Serving goes first.
 */
const NICENESS = 5;

setPriority(NICENESS);
process.on("disconnect", () => process.exit(0));
process.once("message", (order) => {
  void prepare(order as PreparationOrder)
    .catch((error: unknown): PreparationNews => ({ kind: "failed", fault: faultMessage(error) }))
    .then((news) => process.send?.(news, undefined, undefined, () => process.disconnect()));
});

async function prepare({ file, base, kind, declined, split }: PreparationOrder): Promise<PreparationNews> {
  const { info } = await openCheckpoint(base.directory, { name: base.name });
  const codec = await openTextCodec(base.directory, info);
  const listener = { told: () => undefined, accepts: async (check: string) => !declined.includes(check) };
  const prepared = await prepareData(file, { base: { info, codec }, kind, split: async () => split }, listener);
  const { source: _, files, ...facts } = prepared;
  const { rows, tokens } = files?.train ?? { rows: facts.rows.kept, tokens: facts.tokens.total };
  const { epochs, reason } = chooseEpochs(rows);
  const trainedTokens = tokens * epochs;
  const estimatedSeconds = Math.ceil(estimateTrainingMs(trainedTokens, info.parameterCount, undefined) / 1000);
  return {
    kind: "done",
    report: { ...facts, epochs, epochsReason: reason, trainedTokens, estimatedSeconds },
    ...{ train: files?.train.path, valid: files?.valid?.path },
  };
}
