import { resolve } from "node:path";
import type { JsonFields, ReportEvent, Sink } from "../contract.ts";
import { fileArtifacts } from "./artifacts.ts";
import { OfflineFile } from "./offline-file.ts";
import { exitRecord, headerRecord, historyRecord, runRecord, summaryRecord } from "./offline-records.ts";
import { EXIT_CODES, endSummary, historyFields } from "./run-description.ts";
import { runTarget, type WandbSettings } from "./settings.ts";

/**
 * The run as W&B's own client keeps it without a network: `wandb/offline-run-<when>-<id>/run-<id>.wandb`, for `wandb sync`.
 * Files of the run are copied beside it, and the record holds the copy's absolute path, as W&B's own do: carry the
 * folder to another machine and the metrics can be synced there, but the files cannot.
 *
 * `directory`: where `wandb/` is made; run `wandb sync` there.
 */
export function createWandbOfflineSink(deps: { readonly report: ReportEvent }, settings: WandbSettings, directory: string): Sink {
  const name = "wandb-offline";
  let file: OfflineFile;
  let last: JsonFields = {};
  return {
    name,
    pauseMs: 0,
    async start(run) {
      const where = runTarget(settings, run);
      file = await OfflineFile.open(resolve(directory), run);
      last = file.lastRow;
      if (!file.hasRun) await file.append([headerRecord(), runRecord(run, where)]);
      for (const artifact of fileArtifacts(run)) {
        const message = await file.keep(run, where, artifact);
        if (message !== undefined) deps.report({ kind: "sink_warned", sink: name, message });
      }
      return { heldStep: Number(last["_step"]) || 0 };
    },
    async write(rows) {
      const fields = rows.map(historyFields);
      await file.append(fields.map(historyRecord));
      last = Object.assign({}, last, ...fields);
    },
    async finish(end) {
      if (end.outcome === "paused" || file.hasExit) return; // Without an exit the run is still open.
      const runtimeS = Number(last["_runtime"]) || 0;
      await file.append([summaryRecord(endSummary(last, end)), exitRecord(EXIT_CODES[end.outcome], runtimeS)]);
    },
  };
}
