import { appendFile, mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Bytes } from "#kernel";
import type { JsonFields, TrackedRun } from "../contract.ts";
import { ARTIFACT_BYTES_MAX } from "./artifact-upload.ts";
import { type Artifact, contentDigest } from "./artifacts.ts";
import { artifactRecord, type OfflineRecord, readRecord } from "./offline-records.ts";
import { FILE_HEADER, frameRecord, readRecords } from "./transaction-log.ts";

/** One run's `.wandb` file; what a crash left at its end is cut off when it is opened. */
export class OfflineFile {
  readonly directory: string;
  readonly #artifacts = new Set<string>();
  hasRun = false;
  hasExit = false;
  /** The last value of each field of the history. */
  lastRow: JsonFields = {};
  readonly #path: string;
  #sizeBytes: Bytes = 0;
  #records = 0;

  private constructor(directory: string, run: TrackedRun) {
    this.directory = directory;
    this.#path = join(directory, `run-${run.id}.wandb`);
  }

  static async open(root: string, run: TrackedRun): Promise<OfflineFile> {
    const directory = (await offlineRunFolder(root, run.id)) ?? join(root, "wandb", `offline-run-${stamp(run.startedAtMs)}-${run.id}`);
    const file = new OfflineFile(directory, run);
    await mkdir(join(directory, "files"), { recursive: true });
    await appendFile(file.#path, "");
    const bytes = await readFile(file.#path);
    for (const { record, end } of readRecords(bytes)) file.#take(record, end);
    if (file.#sizeBytes < bytes.length) await truncate(file.#path, file.#sizeBytes);
    await rm(`${file.#path}.synced`, { force: true }); // What is added now is to be synced as well.
    return file;
  }

  /** All of them or, after a crash, whole ones from the first on. */
  async append(records: readonly OfflineRecord[]): Promise<void> {
    const frames: Uint8Array[] = this.#sizeBytes === 0 ? [FILE_HEADER] : [];
    let sizeBytes = this.#sizeBytes + (this.#sizeBytes === 0 ? FILE_HEADER.length : 0);
    for (const [index, record] of records.entries()) {
      const frame = frameRecord(record(this.#records + index + 1), sizeBytes);
      frames.push(frame);
      sizeBytes += frame.length;
    }
    await appendFile(this.#path, Buffer.concat(frames));
    this.#sizeBytes = sizeBytes;
    this.#records += records.length;
  }

  /** Keeps a copy of an artifact's file, once. Gives why not, when it is left out. */
  async keep(
    run: TrackedRun,
    where: { readonly entity: string | undefined; readonly project: string },
    artifact: Artifact,
  ): Promise<string | undefined> {
    if (this.#artifacts.has(artifact.name)) return undefined;
    const content = await artifact.content();
    if (content.size > ARTIFACT_BYTES_MAX) return `${artifact.name} is left out: it has ${content.size} bytes`;
    const folder = join(this.directory, "artifacts", artifact.name);
    await mkdir(folder, { recursive: true });
    const localPath = join(folder, artifact.filename);
    await writeFile(localPath, content.stream());
    const copy = { digest: await contentDigest(content), sizeBytes: content.size, localPath };
    await this.append([artifactRecord(run, where, artifact, copy)]);
    this.#artifacts.add(artifact.name);
    return undefined;
  }

  #take(bytes: Uint8Array, end: Bytes): void {
    this.#sizeBytes = end;
    this.#records += 1;
    const record = readRecord(bytes);
    if (record.kind === "run") this.hasRun = true;
    if (record.kind === "exit") this.hasExit = true;
    if (record.kind === "artifact") this.#artifacts.add(record.name);
    if (record.kind === "history") this.lastRow = { ...this.lastRow, ...record.fields };
  }
}

/** The folder that a run has already, if any. */
export async function offlineRunFolder(root: string, runId: string): Promise<string | undefined> {
  const names = await readdir(join(root, "wandb")).catch((error) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const found = names.find((folder) => folder.replace(/^offline-run-\d{8}_\d{6}-/, "") === runId && folder !== runId);
  return found && join(root, "wandb", found);
}

/** `YYYYMMDD_HHMMSS`, in UTC. */
function stamp(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "_");
}
