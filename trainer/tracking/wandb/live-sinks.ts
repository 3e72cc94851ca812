import { type Fault, isFault, type Millis, SECOND } from "#kernel";
import type { JsonFields, ReportEvent, Sink, TrackedRun } from "../contract.ts";
import type { ServiceDeps } from "../service-client.ts";
import { uploadArtifact } from "./artifact-upload.ts";
import { fileArtifacts } from "./artifacts.ts";
import { FileStream } from "./file-stream.ts";
import { createWandbClient } from "./graphql.ts";
import { remoteStatus, upsertRun } from "./remote-run.ts";
import { EXIT_CODES, endSummary, historyFields } from "./run-description.ts";
import type { WandbSettings } from "./settings.ts";

/** As W&B's own client: it asks for a batch every 15 s, and calls a run crashed some minutes after its last sign of life. */
const PAUSE_MS: Millis = 15 * SECOND;
const HEARTBEAT_MS: Millis = 30 * SECOND;

export interface WandbDeps extends ServiceDeps {
  readonly report: ReportEvent;
}

/** The run on W&B while it trains: configuration, a line of history per step, summary, state. */
export function createWandbSink(deps: WandbDeps, settings: WandbSettings): Sink {
  const name = "wandb";
  let stream: FileStream;
  let summary: JsonFields = {};
  let client: ReturnType<typeof createWandbClient>;
  let run: TrackedRun;
  let stopTold = false;

  function tellStop(stopped: boolean): void {
    if (!stopped || stopTold) return;
    stopTold = true;
    deps.report({ kind: "stop_requested", sink: name });
  }

  return {
    name,
    pauseMs: PAUSE_MS,
    heartbeatMs: HEARTBEAT_MS,
    async start(tracked, signal) {
      run = tracked;
      client = createWandbClient(deps, settings);
      const remote = await upsertRun(client, settings, run, signal);
      const status = remote.created ? undefined : await remoteStatus(client, remote, signal);
      // Lines whose last step cannot be told are written again from the first on, over themselves.
      const heldStep = status?.lastStep ?? 0;
      stream = new FileStream(client, remote, heldStep === 0 ? 0 : (status?.historyLines ?? 0));
      summary = status?.summary ?? {};
      return { heldStep, url: remote.url };
    },
    async write(rows, signal) {
      const lines = rows.map(historyFields);
      const summaryAfter = (count: number) => Object.assign({}, summary, ...lines.slice(0, count));
      tellStop(
        await stream.append(
          lines.map((line) => JSON.stringify(line)),
          summaryAfter,
          signal,
        ),
      );
      summary = summaryAfter(lines.length);
    },
    async heartbeat(signal) {
      tellStop(await stream.heartbeat(signal));
    },
    async finish(end, signal) {
      if (end.outcome === "paused") return stream.pause(signal);
      await stream.complete(endSummary(summary, end), EXIT_CODES[end.outcome], signal);
    },
  };
}

/** The job's files as artifacts of the run: a sink of its own, so that metrics neither wait for a large file nor fail with it. */
export function createWandbFilesSink(deps: WandbDeps, settings: WandbSettings): Sink {
  const name = "wandb-files";
  return {
    name,
    pauseMs: HEARTBEAT_MS,
    async start(run, signal) {
      const client = createWandbClient(deps, settings);
      const remote = await upsertRun(client, settings, run, signal);
      for (const artifact of fileArtifacts(run)) {
        const fault = await uploadArtifact(client, run, remote, artifact, signal).then(() => undefined, refusal);
        if (fault) deps.report({ kind: "sink_warned", sink: name, message: `${artifact.name} is not uploaded: ${fault.message}` });
      }
      return { heldStep: 0 };
    },
    async write() {}, // Steps are the other sink's.
    async finish() {},
  };
}

/** A file that is refused does not keep the other one away; everything else is tried again. */
function refusal(error: unknown): Fault {
  if (isFault(error, "tracker_refused")) return error;
  throw error;
}
