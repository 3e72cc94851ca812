import { type Command, InvalidArgumentError } from "commander";
import { Fault, systemClock, systemRandom } from "#kernel";
import { type File, FineTuningServiceService, type Job } from "#proto";
import type { SyncableJob, SyncOptions } from "#trainer";
import { type Connection, withConnection } from "../connection.ts";
import { STATE_NAMES } from "../follow-job.ts";
import { readNetrc } from "../netrc.ts";
import { printData, printMessage } from "../output.ts";

interface SyncFlags {
  readonly id?: string;
  readonly count?: number;
  readonly project?: string;
  readonly entity?: string;
  readonly force?: boolean;
  readonly offline?: string | boolean;
}

const PAGE = 100;

export function addWandbCommand(program: Command): void {
  program
    .command("wandb")
    .description("Weights & Biases; WANDB_API_KEY, WANDB_BASE_URL and the rest as its own client takes them")
    .command("sync")
    .description("bring finished fine-tuning jobs there, each as one run")
    .option("-i, --id <job>", "only this job")
    .option("-n, --count <n>", "only the newest so many", whole)
    .option("--project <name>", "instead of what jobs say")
    .option("--entity <name>", "instead of the key's own")
    .option("--force", "also what was synced before")
    .option("--offline [dir]", "into run folders below a directory (default: .), for `wandb sync` to bring there later")
    .action((flags: SyncFlags, command: Command) => withConnection(command, (connection) => sync(connection, flags)));
}

/** @throws Fault tracker_refused or tracker_unreachable when a job could not be synced, after all were tried */
async function sync(connection: Connection, { offline, ...flags }: SyncFlags): Promise<void> {
  const { syncRuns, wandbSettings } = await import("#trainer"); // Here, so that other commands start without it.
  const options: SyncOptions = {
    ...flags,
    ...(offline !== undefined && offline !== false && { offlineDirectory: offline === true ? "." : offline }),
  };
  const deps = { fetch: globalThis.fetch, clock: systemClock, random: systemRandom() };
  const settings = wandbSettings(process.env, readNetrc());
  let failure: Fault | undefined;
  for await (const run of syncRuns(deps, settings, syncable(connection, flags.id), options, connection.signal)) {
    if (connection.output === "json") printData(JSON.stringify({ ...run, ...(run.result === "failed" && { fault: run.fault.message }) }));
    else if (run.result === "synced") printData(`${run.id}  ${run.where}`);
    else printMessage(`${run.id}  ${run.result}: ${run.result === "skipped" ? run.why : run.fault.message}`);
    if (run.result === "failed") failure = run.fault;
  }
  if (failure) throw failure;
  printMessage("🎉 wandb sync completed successfully");
}

/** Newest first; those that did not succeed are told of when they are asked for by name. */
async function* syncable(connection: Connection, id: string | undefined): AsyncGenerator<SyncableJob> {
  const { channel, signal } = connection;
  if (id !== undefined) {
    const { job } = await channel.unary(FineTuningServiceService.getJob, { id }, { signal });
    yield await syncableJob(connection, job!);
    return;
  }
  for (let after = ""; ; ) {
    const { jobs, hasMore } = await channel.unary(FineTuningServiceService.listJobs, { after, limit: PAGE, metadata: {} }, { signal });
    for (const job of jobs) if (job.fineTunedModel !== "") yield await syncableJob(connection, job);
    if (!hasMore) return;
    after = jobs.at(-1)!.id;
  }
}

async function syncableJob(connection: Connection, job: Job): Promise<SyncableJob> {
  const { trackedRun } = await import("#trainer");
  const [training, validation] = [await fileOf(connection, job.trainingFile), await fileOf(connection, job.validationFile)];
  return {
    run: trackedRun(job, { training, validation, content: (file) => download(connection, file.id) }),
    status: STATE_NAMES.get(job.state) ?? "",
    ...{ finishedAtMs: job.finishedAtMs, fineTunedModel: job.fineTunedModel },
    async results() {
      const [file] = job.resultFiles;
      if (file === undefined) throw new Fault("resource_unknown", `${job.id} has no result file`, { detail: { resource: job.id } });
      return (await download(connection, file)).text();
    },
  };
}

/** Undefined for a file that its tenant has deleted meanwhile. */
async function fileOf({ channel, signal }: Connection, id: string): Promise<File | undefined> {
  if (id === "") return undefined;
  const { files } = await channel.unary(FineTuningServiceService.listFiles, { purpose: "fine-tune" }, { signal });
  return files.find((file) => file.id === id);
}

async function download({ channel, signal }: Connection, id: string): Promise<Blob> {
  const pieces: Buffer<ArrayBuffer>[] = [];
  for await (const { piece } of channel.serverStream(FineTuningServiceService.downloadFile, { id }, { signal }))
    pieces.push(Buffer.from(piece));
  return new Blob(pieces);
}

function whole(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError("not a whole number from 1");
  return Number(text);
}
