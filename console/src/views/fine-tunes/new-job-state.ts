import { signal } from "@preact/signals";
import { type ApiFailure, failureFrom } from "../../api/index.ts";
import { perSession } from "../../session/index.ts";
import { createJob, type Job } from "./job.ts";
import { jobWish, NO_KNOBS } from "./knobs.ts";
import { discard, type Preparation, prepare, type TrainingFile, upload } from "./preparation.ts";
import { startSweep as startJobs } from "./start-sweep.ts";
import type { SweepPlan } from "./sweep-plan.ts";

/** The router itself gives up earlier. */
const ANSWER_MS_MAX = 20 * 60_000;

export type NewJob = ReturnType<typeof createNewJob>;

/** A job that is being put together. */
export const newJob = perSession(createNewJob);

function createNewJob() {
  const base = signal("");
  const file = signal<TrainingFile | undefined>(undefined);
  const preparation = signal<Preparation | undefined>(undefined);
  const declined = signal<readonly string[]>([]);
  const split = signal(false);
  const knobs = signal(NO_KNOBS);
  /** What is going on, in words. */
  const busy = signal<string | undefined>(undefined);
  const failure = signal<ApiFailure | undefined>(undefined);
  /** Taken, but not uploaded yet. */
  let chosen: File | undefined;
  let wishes = 0;
  let underWay: Promise<void> = Promise.resolve();

  /** One after the other, as the router prepares one file of a tenant at a time; what is overtaken by a later wish is skipped. */
  const doing = (what: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> => {
    const own = ++wishes;
    busy.value = what;
    underWay = underWay.then(async () => {
      if (own !== wishes) return;
      failure.value = undefined;
      try {
        await work(AbortSignal.timeout(ANSWER_MS_MAX));
      } catch (error) {
        failure.value = failureFrom(error);
      }
      if (own === wishes) busy.value = undefined;
    });
    return underWay;
  };
  const prepareAgain = async (signal: AbortSignal) => {
    if (chosen) file.value = await upload(chosen, signal);
    chosen = undefined;
    if (!file.value) return;
    const before = preparation.value;
    preparation.value = await prepare(file.value, { model: base.value, declined: declined.value, split: split.value }, signal);
    if (before) await discard(before, file.value);
  };
  const take = (taken: File) => {
    [chosen, file.value, preparation.value, declined.value] = [taken, undefined, undefined, []];
    return doing(`Checking ${taken.name}`, prepareAgain);
  };
  const change = (wish: { readonly base?: string; readonly declined?: readonly string[]; readonly split?: boolean }) => {
    base.value = wish.base ?? base.value;
    declined.value = wish.declined ?? declined.value;
    split.value = wish.split ?? split.value;
    return doing("Checking again", prepareAgain);
  };
  const start = async (done: (job: Job) => void) =>
    doing("Starting", async () => {
      const { training_file, validation_file } = preparation.value!;
      const files = { model: base.value, training_file: training_file.id, ...(validation_file && { validation_file: validation_file.id }) };
      const job = await createJob(jobWish(knobs.value, files));
      forget();
      done(job);
    });
  const startSweep = async (plan: SweepPlan, records: readonly string[], done: (sweep: string) => void) =>
    doing("Starting", async (signal) => {
      const { validation_file: validationFile } = preparation.value!;
      const sweep = await startJobs(plan, knobs.value, { base: base.value, records, validationFile }, signal);
      forget();
      done(sweep);
    });
  const forget = () => {
    [file.value, preparation.value, declined.value, split.value, knobs.value] = [undefined, undefined, [], false, NO_KNOBS];
  };
  return { base, file, preparation, declined, split, knobs, busy, failure, take, change, start, startSweep };
}
