import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "#kernel";
import { openCheckpoint } from "#model";
import { CreateJobRequest, FineTuningServiceService, type GrpcChannel, type Job, JobState, type UploadFileRequest } from "#proto";
import { JOB_LIMITS, type JobLimits } from "#router";
import { nodeView, snapshotOf } from "../../router/testing/cluster-of.ts";
import { type RouterUnderTest, runRouter } from "../../router/testing/running-router.ts";
import { type ScriptedNode, scriptedNode } from "../../router/testing/scripted-node.ts";

/** A router with one node that takes every delta, a real base, and trainers in processes of their own. */
export interface TrainingSystem extends AsyncDisposable {
  readonly under: RouterUnderTest;
  readonly node: ScriptedNode;
  /** Gives its id. */
  upload(tenant: GrpcChannel, text: string): Promise<string>;
  create(tenant: GrpcChannel, wish: Partial<CreateJobRequest>): Promise<Job>;
  /** The job, once it is as wanted. */
  until(tenant: GrpcChannel, id: string, wanted: (job: Job) => boolean): Promise<Job>;
  startTrainer(): TrainerUnderTest;
}

export interface TrainerUnderTest extends AsyncDisposable {
  /** Kills only the process that trains. */
  killChild(): void;
  kill(signal: "SIGKILL" | "SIGTERM"): Promise<void>;
  /** What it said. */
  readonly log: () => string;
}

const ROOT = join(import.meta.dirname, "../..");
const BASE = join(ROOT, "test/golden/files/llama-gqa-tied/base");
const CLUSTER_KEY = "cluster-secret-of-tests";
export const BASE_NAME = "tiny";

export const OVER: ReadonlySet<JobState> = new Set([JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED]);

export async function startTrainingSystem(limits: Partial<JobLimits> = {}): Promise<TrainingSystem> {
  await using parts = new AsyncDisposableStack();
  const node = scriptedNode();
  const under = parts.use(await runRouter({ a: node }, { clusterKey: CLUSTER_KEY, jobLimits: { ...JOB_LIMITS, ...limits } }));
  const { info } = await openCheckpoint(BASE, { name: BASE_NAME });
  const view = nodeView("a", { load: { ...info, name: BASE_NAME, directory: BASE } });
  under.cluster.set(snapshotOf([{ ...view, bases: new Map([[info.digest, [...view.bases.values()][0]!]]) }]));
  const keyFile = join(under.dataDirectory, "cluster-key");
  writeFileSync(keyFile, CLUSTER_KEY);
  let trainers = 0;
  const owned = parts.move();
  return {
    ...{ under, node },
    async upload(tenant, text) {
      const parts = async function* (): AsyncGenerator<UploadFileRequest> {
        yield { part: { $case: "header", value: { filename: "train.jsonl", purpose: "fine-tune", expiresAtMs: 0, tenantId: "" } } };
        yield { part: { $case: "bytes", value: Buffer.from(text) } };
      };
      return (await tenant.clientStream(FineTuningServiceService.uploadFile, parts())).file!.id;
    },
    async create(tenant, wish) {
      const request = CreateJobRequest.fromPartial({ model: BASE_NAME, ...wish } as never);
      return (await tenant.unary(FineTuningServiceService.createJob, request)).job!;
    },
    async until(tenant, id, wanted) {
      for (;;) {
        const { job } = await tenant.unary(FineTuningServiceService.getJob, { id });
        if (wanted(job!)) return job!;
        await systemClock.after(25);
      }
    },
    startTrainer() {
      const directory = join(under.dataDirectory, `trainer-${trainers++}`);
      mkdirSync(directory);
      return owned.use(trainerProcess(under.router.grpcPort, keyFile, directory));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function trainerProcess(port: number, keyFile: string, directory: string): TrainerUnderTest {
  const args = [
    "trainer",
    "--name",
    "t",
    "--router",
    `127.0.0.1:${port}`,
    "--cluster-key-file",
    keyFile,
    "--directory",
    directory,
    "--metrics-listen",
    "127.0.0.1:0",
  ];
  const child = spawn(process.execPath, [join(ROOT, "cli/main.ts"), ...args, "--threads", "1"], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (bytes: Buffer) => {
    said += bytes.toString();
  });
  const exited = once(child, "exit");
  const kill = async (signal: "SIGKILL" | "SIGTERM") => {
    child.kill(signal);
    await exited;
  };
  const killChild = () => {
    const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ");
    for (const pid of children) process.kill(Number(pid), "SIGKILL");
  };
  return { kill, killChild, log: () => said, [Symbol.asyncDispose]: () => kill("SIGTERM") };
}

/** Lines of completions that differ, all within the tiny base's alphabet. */
export function trainingLines(count: number): string {
  const line = (index: number) => JSON.stringify({ prompt: `a${"bcdefgh"[index % 7]} ${index}`, completion: ` x${"yz"[index % 2]}` });
  return `${Array.from({ length: count }, (_, index) => line(index)).join("\n")}\n`;
}
