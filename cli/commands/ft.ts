import { type Command, InvalidArgumentError } from "commander";
import { Fault } from "#kernel";
import { type Checkpoint, CreateJobRequest, FineTuningServiceService, type Job } from "#proto";
import { type Connection, withConnection } from "../connection.ts";
import { followJob, printEvents, STATE_NAMES } from "../follow-job.ts";
import { onlyBase } from "../only-base.ts";
import { type Column, formatTime, printData, printMessage, printRows } from "../output.ts";
import { trainingFile } from "../training-file.ts";
import { addSweepCommand } from "./ft-sweep.ts";

const JOBS: readonly Column<Job>[] = [
  { title: "job", value: (job) => job.id },
  { title: "state", value: (job) => STATE_NAMES.get(job.state) ?? "" },
  { title: "base", value: (job) => job.model },
  { title: "step", value: (job) => (job.stepsTotal === 0 ? "-" : `${job.stepsDone}/${job.stepsTotal}`), align: "right" },
  { title: "tokens", value: (job) => job.trainedTokens, align: "right" },
  { title: "created", value: (job) => formatTime(job.createdAtMs) },
  { title: "model", value: (job) => job.fineTunedModel || job.error?.message || "" },
];

const CHECKPOINTS: readonly Column<Checkpoint>[] = [
  { title: "step", value: (checkpoint) => checkpoint.step, align: "right" },
  { title: "train loss", value: (checkpoint) => checkpoint.metrics?.trainLoss?.toFixed(4) ?? "", align: "right" },
  { title: "valid loss", value: (checkpoint) => checkpoint.metrics?.validLoss?.toFixed(4) ?? "", align: "right" },
  { title: "created", value: (checkpoint) => formatTime(checkpoint.createdAtMs) },
  { title: "model", value: (checkpoint) => checkpoint.model },
];

interface CreateOptions {
  readonly trainingFile: string;
  readonly validationFile?: string;
  readonly model?: string;
  readonly tenant?: string;
  readonly suffix?: string;
  readonly seed?: number;
  readonly auto?: boolean;
  readonly classification?: boolean;
  readonly follow: boolean;
  readonly wandb?: string;
  readonly epochs?: number;
  readonly batchSize?: number;
  readonly lrMult?: number;
  readonly rank?: number;
  readonly alpha?: number;
  readonly rslora?: boolean;
  readonly targets?: string[];
  readonly promptLossWeight?: number;
  readonly checkpointSteps?: number;
}

export function addFtCommand(program: Command): void {
  const ft = program.command("ft").description("fine-tuning: from a file to a model that can be called");
  addCreateCommand(ft);
  addSweepCommand(ft);
  ft.command("ls").action((_options: unknown, command: Command) =>
    withConnection(command, async ({ channel, output, signal }) => {
      const { jobs } = await channel.unary(FineTuningServiceService.listJobs, { after: "", limit: 100, metadata: {} }, { signal });
      printRows(output, jobs, JOBS);
    }),
  );
  addJobCommand(ft, "get", "one job with everything about it", async ({ channel, signal }, id) => {
    const { job } = await channel.unary(FineTuningServiceService.getJob, { id }, { signal });
    printData(JSON.stringify({ ...job, state: STATE_NAMES.get(job!.state) }, null, 2));
  });
  addJobCommand(ft, "follow", "print what happens until it is over; Ctrl-C leaves it running", async (connection, id) => {
    await followJob(connection, id);
  });
  addJobCommand(ft, "events", "what has happened", (connection, id) => printEvents(connection, id, false));
  addChangeCommand(ft, "cancel", "end it; what was trained is charged", FineTuningServiceService.cancelJob);
  addChangeCommand(ft, "pause", "save where it stands and make way for others", FineTuningServiceService.pauseJob);
  addChangeCommand(ft, "resume", "go on from there", FineTuningServiceService.resumeJob);
  addJobCommand(ft, "results", "its results.csv, to stdout", printResults);
  addJobCommand(ft, "checkpoints", "its last epochs, each a model that can be called", async ({ channel, output, signal }, id) => {
    const { checkpoints } = await channel.unary(FineTuningServiceService.listCheckpoints, { id }, { signal });
    printRows(output, checkpoints, CHECKPOINTS);
  });
}

function addCreateCommand(ft: Command): void {
  ft.command("create")
    .description("train a model on a file; everything that is not said is chosen, and the reasons are printed")
    .requiredOption("-t, --training-file <file>", "JSONL, or the id of an uploaded file; see `data prepare`")
    .option("-v, --validation-file <file>", "to measure on what is not trained on")
    .option("-m, --model <base>", "the base (default: the only one there is)")
    .option("--tenant <id>", "on whose behalf (admin key only)")
    .option("--suffix <name>", "becomes part of the model's name")
    .option("--auto", "hold examples back, stop when they get no better, keep the best")
    .option("--classification", "also tell how well labels are told apart")
    .option("--epochs <n>", "times that each example is seen", number)
    .option("--batch-size <n>", "examples per step", number)
    .option("--lr-mult <x>", "times the usual learning rate", number)
    .option("--rank <n>", "of the delta", number)
    .option("--alpha <x>", "scales the delta by alpha/rank", number)
    .option("--rslora", "scale by alpha/√rank instead")
    .option("--targets <name...>", "linear layers, as q_proj (default: all)")
    .option("--prompt-loss-weight <x>", "what prompts count in the loss, 0 to 1", number)
    .option("--checkpoint-steps <n>", "steps between two checkpoints", number)
    .option("--seed <n>", "the same seed, data and machine give the same model, bit for bit", number)
    .option("--wandb <project>", "track it in Weights & Biases")
    .option("--no-follow", "only say the job's id")
    .action((options: CreateOptions, command: Command) => withConnection(command, (connection) => create(connection, options)));
}

async function create(connection: Connection, options: CreateOptions): Promise<void> {
  const { channel, output, signal } = connection;
  const { tenant: tenantId = "" } = options;
  const request = CreateJobRequest.fromPartial({
    model: options.model ?? (await onlyBase(channel)),
    tenantId,
    trainingFile: await trainingFile(connection, options.trainingFile, tenantId),
    validationFile: options.validationFile === undefined ? "" : await trainingFile(connection, options.validationFile, tenantId),
    ...{ suffix: options.suffix ?? "", auto: options.auto ?? false, classificationMetrics: options.classification ?? false },
    ...(options.seed !== undefined && { seed: String(options.seed) }),
    hyperparameters: hyperparameters(options),
    integrations: options.wandb === undefined ? [] : [{ type: "wandb", project: options.wandb, name: "", entity: "", tags: [] }],
  } as Parameters<typeof CreateJobRequest.fromPartial>[0]);
  const { job } = await channel.unary(FineTuningServiceService.createJob, request, { signal });
  if (!options.follow) {
    printRows(output, [job!], JOBS);
    printMessage(`next: deltaplane ft follow ${job!.id}`);
    return;
  }
  await followJob(connection, job!.id);
}

function hyperparameters(options: CreateOptions) {
  const { epochs, batchSize, lrMult: learningRateMultiplier, rank, alpha, rslora: rankStabilised } = options;
  const { promptLossWeight, checkpointSteps, targets = [] } = options;
  return { epochs, batchSize, learningRateMultiplier, rank, alpha, rankStabilised, promptLossWeight, checkpointSteps, targets };
}

async function printResults({ channel, signal }: Connection, id: string): Promise<void> {
  const { job } = await channel.unary(FineTuningServiceService.getJob, { id }, { signal });
  const [file] = job!.resultFiles;
  if (file === undefined) throw new Fault("resource_unknown", `${id} has no results yet`, { detail: { resource: id } });
  for await (const { piece } of channel.serverStream(FineTuningServiceService.downloadFile, { id: file }, { signal }))
    process.stdout.write(piece);
}

type Change =
  | typeof FineTuningServiceService.cancelJob
  | typeof FineTuningServiceService.pauseJob
  | typeof FineTuningServiceService.resumeJob;

function addChangeCommand(ft: Command, name: string, description: string, method: Change): void {
  addJobCommand(ft, name, description, async ({ channel, output, signal }, id) => {
    const { job } = await channel.unary(method, { id }, { signal });
    printRows(output, [job!], JOBS);
  });
}

function addJobCommand(ft: Command, name: string, description: string, work: (connection: Connection, id: string) => Promise<void>): void {
  ft.command(`${name} <job>`)
    .description(description)
    .action((id: string, _options: unknown, command: Command) => withConnection(command, (connection) => work(connection, id)));
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("not a number");
  return value;
}
