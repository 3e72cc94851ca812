import { createReadStream } from "node:fs";
import { join } from "node:path";
import OpenAI from "openai";
import { quantile } from "../../bench/statistics.ts";
import type { RunningCluster } from "../cluster/running-cluster.ts";
import { pause, waitUntil } from "./patience.ts";

export interface BesideTrainingOptions {
  /** Of each measured phase. */
  readonly seconds: number;
  /** Each is a phase without training and one beside it: machines drift. */
  readonly pairs: number;
}

const TENANT = "taxly";
const EXAMPLES = join(import.meta.dirname, "../../models/demo-deltas/tax/train-sample.jsonl");
/** Streams that are read at a time, as fast as they come. */
const STREAMS = 4;
const TOKENS = 256;
/** So many that the job outlives its phase; it is cancelled then. */
const EPOCHS = 50;
const JOB_STARTS_MS_MAX = 60_000;

/** Milliseconds between two tokens of running streams, without a fine-tuning job on the machine and beside one. */
export async function measureBesideTraining(cluster: RunningCluster, { seconds, pairs }: BesideTrainingOptions) {
  const client = new OpenAI({ baseURL: `${cluster.http}/v1`, apiKey: cluster.tenantKeys[TENANT]!, maxRetries: 0 });
  const file = await client.files.create({ file: createReadStream(EXAMPLES), purpose: "fine-tune" });
  await tokenGaps(client, Math.min(seconds, 3)); // Warms everything up.
  const alone: number[] = [];
  const beside: number[] = [];
  let steps = 0;
  for (let pair = 0; pair < pairs; pair++) {
    alone.push(...(await tokenGaps(client, seconds)));
    const job = await client.fineTuning.jobs.create({
      ...{ model: "demo-base", training_file: file.id },
      method: { type: "supervised", supervised: { hyperparameters: { n_epochs: EPOCHS } } },
    });
    await waitUntil("the job's first step", JOB_STARTS_MS_MAX, async () => (await stepsDone(client, job.id)) > 0);
    const before = await stepsDone(client, job.id);
    beside.push(...(await tokenGaps(client, seconds)));
    steps += (await stepsDone(client, job.id)) - before;
    await client.fineTuning.jobs.cancel(job.id);
    await waitUntil("the job's end", JOB_STARTS_MS_MAX, async () => (await client.fineTuning.jobs.retrieve(job.id)).status === "cancelled");
  }
  const [aloneMs, besideMs] = [quantile(alone, 0.99), quantile(beside, 0.99)];
  return {
    itl_alone_p50_ms: quantile(alone, 0.5),
    itl_alone_p99_ms: aloneMs,
    itl_beside_p50_ms: quantile(beside, 0.5),
    itl_beside_p99_ms: besideMs,
    itl_p99_ratio: besideMs / aloneMs,
    training_steps_per_s: steps / (seconds * pairs),
  };
}

async function stepsDone(client: OpenAI, job: string): Promise<number> {
  const { data } = await client.fineTuning.jobs.listEvents(job, { limit: 1 });
  return (data[0]?.data as { step?: number } | undefined)?.step ?? 0;
}

/** Of {@link STREAMS} clients that ask again and again. */
async function tokenGaps(client: OpenAI, seconds: number): Promise<readonly number[]> {
  const until = performance.now() + seconds * 1000;
  const gaps: number[] = [];
  const read = async () => {
    while (performance.now() < until) {
      const ask = { model: "demo-base", prompt: "Once upon a time", max_tokens: TOKENS, temperature: 1, stream: true } as const;
      let before: number | undefined;
      for await (const _ of await client.completions.create(ask)) {
        const now = performance.now();
        if (before !== undefined) gaps.push(now - before);
        before = now;
      }
      await pause(1);
    }
  };
  await Promise.all(Array.from({ length: STREAMS }, read));
  return gaps;
}
