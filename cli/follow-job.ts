import { Fault } from "#kernel";
import { EventLevel, FineTuningServiceService, type Job, type JobEvent, JobState } from "#proto";
import type { Connection } from "./connection.ts";
import { jobEvents } from "./job-events.ts";
import { lossCurve } from "./loss-curve.ts";
import { formatTime, printData, printMessage } from "./output.ts";

/** Of the curve. */
const CURVE = { columns: 76, rows: 14 } as const;

export const STATE_NAMES: ReadonlyMap<JobState, string> = new Map([
  [JobState.JOB_STATE_VALIDATING_FILES, "validating_files"],
  [JobState.JOB_STATE_QUEUED, "queued"],
  [JobState.JOB_STATE_RUNNING, "running"],
  [JobState.JOB_STATE_PAUSED, "paused"],
  [JobState.JOB_STATE_SUCCEEDED, "succeeded"],
  [JobState.JOB_STATE_FAILED, "failed"],
  [JobState.JOB_STATE_CANCELLED, "cancelled"],
]);

/** Prints what happens to a job until it is over. Ctrl-C stops the printing, not the job. @throws Fault with which the job failed */
export async function followJob(connection: Connection, id: string): Promise<void> {
  try {
    await printEvents(connection, id, true);
  } catch (error) {
    if (connection.signal.aborted) printMessage(`the job goes on; to follow it again: deltaplane ft follow ${id}`);
    throw error;
  }
  const { job } = await connection.channel.unary(FineTuningServiceService.getJob, { id });
  printOutcome(job!);
}

/** The job's events so far, with `follow` also those to come, and the curve of its losses. */
export async function printEvents(connection: Connection, id: string, follow: boolean): Promise<void> {
  const { output } = connection;
  const measured: NonNullable<JobEvent["metrics"]>[] = [];
  for await (const event of jobEvents(connection, id, follow)) {
    if (output === "json") {
      printData(JSON.stringify(event));
      continue;
    }
    if (event.metrics && measured.length === 0) await printReasons(connection, id);
    if (event.metrics) measured.push(event.metrics);
    printEvent(event);
  }
  printCurve(measured);
}

/** Before the first step, so that a choice can still be taken back. */
async function printReasons({ channel }: Connection, id: string): Promise<void> {
  const { job } = await channel.unary(FineTuningServiceService.getJob, { id });
  for (const [name, reason] of Object.entries(job!.reasons)) printMessage(`  ${name.padEnd(24)} ${reason}`);
}

function printEvent({ createdAtMs, level, message }: JobEvent): void {
  const mark = level === EventLevel.EVENT_LEVEL_ERROR ? "error: " : level === EventLevel.EVENT_LEVEL_WARN ? "warning: " : "";
  printData(`${formatTime(createdAtMs)}  ${mark}${message}`);
}

function printCurve(measured: readonly NonNullable<JobEvent["metrics"]>[]): void {
  const points = (name: string, of: (metrics: NonNullable<JobEvent["metrics"]>) => number | undefined) => ({
    name,
    points: measured.flatMap((metrics): [number, number][] => {
      const value = of(metrics);
      return value === undefined ? [] : [[metrics.step, value]];
    }),
  });
  const series = [points("training loss", ({ trainLoss }) => trainLoss), points("validation loss", ({ fullValidLoss }) => fullValidLoss)];
  const color = process.stderr.isTTY && process.env["NO_COLOR"] === undefined;
  for (const line of lossCurve(series, { ...CURVE, color })) printMessage(line);
}

/** @throws Fault job_not_running for one that failed: a script must see it in the exit code */
function printOutcome(job: Job): void {
  if (job.state === JobState.JOB_STATE_FAILED) throw new Fault("job_not_running", job.error?.message ?? "the job failed");
  if (job.state !== JobState.JOB_STATE_SUCCEEDED) {
    printMessage(`the job is ${STATE_NAMES.get(job.state)}`);
    return;
  }
  printMessage(`${job.trainedTokens} tokens were trained. The model can be called now:`);
  printData(job.fineTunedModel);
  printMessage(`next: deltaplane run ${job.fineTunedModel} "…"`);
  printMessage("(after prompts and completions: with --raw, and the separator and --stop that `data prepare` named)");
}
