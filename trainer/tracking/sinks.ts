import { join } from "node:path";
import type { Sink } from "./contract.ts";
import { mlflowSettings } from "./mlflow/settings.ts";
import { createMlflowSink } from "./mlflow/sink.ts";
import { createResultsFile } from "./results-file.ts";
import { createTensorBoardSink } from "./tensorboard/sink.ts";
import { createWandbFilesSink, createWandbSink, type WandbDeps } from "./wandb/live-sinks.ts";
import { createWandbOfflineSink } from "./wandb/offline-sink.ts";
import { wandbSettings } from "./wandb/settings.ts";

export interface SinksOptions {
  /** The job's own folder: `results.csv`, `tensorboard/` and, offline, `wandb/` go there. */
  readonly directory: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The content of `~/.netrc`; "" when there is none. */
  readonly netrc: string;
  /** Whether the job asks for W&B. A key alone does not: nobody's data leaves because somebody once logged in here. */
  readonly wandb: boolean;
}

const RESULTS_FILE = "results.csv";

/**
 * Where a job is tracked: `results.csv` and TensorBoard files always; W&B when the job asks for it; MLflow when the
 * environment names a server. @throws Fault parameter_invalid naming the variable
 */
export function createSinks(deps: WandbDeps, options: SinksOptions): readonly Sink[] {
  const { directory, env, netrc } = options;
  const mlflow = mlflowSettings(env);
  return [
    createResultsFile(join(directory, RESULTS_FILE)),
    createTensorBoardSink(join(directory, "tensorboard")),
    ...(options.wandb ? wandbSinks(deps, directory, env, netrc) : []),
    ...(mlflow ? [createMlflowSink(deps, mlflow)] : []),
  ];
}

function wandbSinks(deps: WandbDeps, directory: string, env: SinksOptions["env"], netrc: string): readonly Sink[] {
  const settings = wandbSettings(env, netrc);
  if (settings.mode === "disabled") return [];
  if (settings.mode === "offline") return [createWandbOfflineSink(deps, settings, directory)];
  return [createWandbSink(deps, settings), createWandbFilesSink(deps, settings)];
}
