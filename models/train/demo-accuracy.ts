import { asTenantId, deltaDigest, systemClock } from "#kernel";
import { type Checkpoint, createDetokenizer, inspectDelta, loadDelta, type TextCodec } from "#model";
import { type Engine, GREEDY, startEngineProcess, tableRanks } from "#node-agent";
import { PROMPT_FORMS, type TaskExample } from "./demo-data.ts";

/** Far longer than any answer. */
const ANSWER_TOKENS_MAX = 128;
const ROWS_MAX = 16;
const ROW_TOKENS_MAX = 512;

/** Of each prompt form, the share of held-out examples that the base with the delta answers exactly, by the engine that serves. */
export async function measureAccuracy(
  checkpoint: Checkpoint,
  codec: TextCodec,
  deltaDirectory: string,
  heldOut: readonly TaskExample[],
): Promise<Readonly<Record<string, number>>> {
  const { info } = checkpoint;
  const inspection = await inspectDelta(deltaDirectory, info);
  const parts = { tenantId: asTenantId("demo"), baseDigest: info.digest };
  const reference = { digest: deltaDigest({ ...parts, ...inspection }), ...parts };
  const delta = await loadDelta(deltaDirectory, reference, info);
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
        tableRanksMax: tableRanks(1) + tableRanks(delta.rank),
      },
      engine: { queueDepthMax: heldOut.length },
    },
  );
  const slot = await engine.attach(delta);
  const shares: Record<string, number> = {};
  for (const [form, encode] of Object.entries(PROMPT_FORMS)) {
    const answers = await Promise.all(
      heldOut.map(async ({ prompt }, index) => answer(engine, codec, `${form} ${index}`, slot, await encode(codec, prompt))),
    );
    shares[form] = answers.filter((text, index) => text === heldOut[index]!.completion).length / heldOut.length;
  }
  return shares;
}

/** Greedy, up to the token that ends it. */
async function answer(engine: Engine, codec: TextCodec, id: string, slot: number, promptTokens: readonly number[]): Promise<string> {
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
