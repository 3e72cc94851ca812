import { asTenantId, deltaDigest, systemClock } from "#kernel";
import { type BaseInfo, type Checkpoint, createDetokenizer, inspectDelta, type LoadedDelta, loadDelta, type TextCodec } from "#model";
import { type Engine, GREEDY, type Slot, startEngineProcess, tableRanks } from "#node-agent";
import { PROMPT_FORMS, type TaskExample } from "./demo-data.ts";

/** Far longer than any answer. */
const ANSWER_TOKENS_MAX = 128;
const ROWS_MAX = 16;
const ROW_TOKENS_MAX = 512;

/** Of each prompt form, a share of 1. */
export type Accuracy = Readonly<Record<string, number>>;

/** Of each prompt form, the share of held-out examples that the base with the delta answers exactly, by the engine that serves; without a delta the base alone. */
export async function measureAccuracy(
  checkpoint: Checkpoint,
  codec: TextCodec,
  deltaDirectory: string | undefined,
  heldOut: readonly TaskExample[],
): Promise<Accuracy> {
  const { info } = checkpoint;
  const delta = deltaDirectory === undefined ? undefined : await deltaIn(deltaDirectory, info);
  await using engine = await startEngineProcess(
    { clock: systemClock },
    {
      directory: checkpoint.directory,
      name: info.name,
      threads: 2,
      limits: {
        rowsMax: ROWS_MAX,
        kvTokensMax: ROWS_MAX * ROW_TOKENS_MAX,
        slotsMax: 1,
        tableRanksMax: tableRanks(1) + tableRanks(delta?.rank ?? 1),
      },
      engine: { queueDepthMax: heldOut.length },
    },
  );
  const slot = delta && (await engine.attach(delta));
  const shares: Record<string, number> = {};
  for (const [form, encode] of Object.entries(PROMPT_FORMS)) {
    const answers = await Promise.all(
      heldOut.map(async ({ prompt }, index) => answer(engine, codec, `${form} ${index}`, slot, await encode(codec, prompt))),
    );
    shares[form] = answers.filter((text, index) => text === heldOut[index]!.completion).length / heldOut.length;
  }
  return shares;
}

async function deltaIn(directory: string, info: BaseInfo): Promise<LoadedDelta> {
  const parts = { tenantId: asTenantId("demo"), baseDigest: info.digest };
  const digest = deltaDigest({ ...parts, ...(await inspectDelta(directory, info)) });
  return loadDelta(directory, { digest, ...parts }, info);
}

/** Greedy, up to the token that ends it. */
async function answer(engine: Engine, codec: TextCodec, id: string, slot: Slot | undefined, promptTokens: readonly number[]): Promise<string> {
  const stopTokenIds = new Set(engine.base.eosTokenIds);
  const spec = {
    id,
    tenantId: asTenantId("demo"),
    promptTokens,
    emittedTokens: [],
    slot,
    sampling: GREEDY,
    stopTokenIds,
    promptLogprobs: false,
  };
  const detokenizer = createDetokenizer(codec);
  let text = "";
  for await (const event of engine.generate({ ...spec, maxTokens: ANSWER_TOKENS_MAX }, new AbortController().signal)) {
    if (event.kind === "token" && !stopTokenIds.has(event.tokenId)) text += detokenizer.push(event.tokenId);
  }
  return text + detokenizer.end();
}
