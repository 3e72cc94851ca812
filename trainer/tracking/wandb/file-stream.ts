import { type Bytes, Fault, KIB, MIB } from "#kernel";
import type { JsonFields } from "../contract.ts";
import type { WandbClient } from "./graphql.ts";
import type { RemoteRun } from "./remote-run.ts";

/** W&B's own limits: of a request, and of a line of a file. */
const REQUEST_BYTES_MAX: Bytes = 10 * MIB;
const LINE_BYTES_MAX: Bytes = 10 * MIB - 100 * KIB;
/** What a request holds besides lines. */
const ENVELOPE_BYTES: Bytes = 4 * KIB;

const HISTORY = "wandb-history.jsonl";
const SUMMARY = "wandb-summary.json";

/**
 * The files of a run on the server, written by line number: the same lines at the same offset again change nothing, which is
 * what makes a request safe to repeat.
 */
export class FileStream {
  readonly #client: WandbClient;
  readonly #path: string;
  #historyLines: number;

  /** `historyLines`: how many are there; the next line follows them. */
  constructor(client: WandbClient, run: RemoteRun, historyLines: number) {
    this.#client = client;
    this.#path = `/files/${[run.entity, run.project, run.id].map(encodeURIComponent).join("/")}/file_stream`;
    this.#historyLines = historyLines;
  }

  /**
   * Appends lines, in as many requests as their size asks for, each with `summary(count)` after `count` of the lines. True when
   * somebody has asked the run to stop. @throws Fault; lines before the failing request are there
   */
  async append(lines: readonly string[], summary: (count: number) => JsonFields, signal: AbortSignal): Promise<boolean> {
    let stopped = false;
    for (let first = 0; first < lines.length; ) {
      const end = first + countFitting(lines, first, JSON.stringify(JSON.stringify(summary(lines.length))).length);
      const files = {
        [HISTORY]: { offset: this.#historyLines, content: lines.slice(first, end) },
        [SUMMARY]: { offset: 0, content: [JSON.stringify(summary(end))] },
      };
      stopped = (await this.#send({ files }, signal)) || stopped;
      this.#historyLines += end - first;
      first = end;
    }
    return stopped;
  }

  /** Says that the run lives. */
  async heartbeat(signal: AbortSignal): Promise<boolean> {
    return this.#send({}, signal);
  }

  async complete(summary: JsonFields, exitCode: number, signal: AbortSignal): Promise<void> {
    await this.#send(
      { files: { [SUMMARY]: { offset: 0, content: [JSON.stringify(summary)] } }, complete: true, exitcode: exitCode },
      signal,
    );
  }

  /** Says that the run will be silent for a while, and is not to be taken for crashed. */
  async pause(signal: AbortSignal): Promise<void> {
    await this.#send({ preempting: true }, signal);
  }

  async #send(body: JsonFields, signal: AbortSignal): Promise<boolean> {
    const { stopped } = await this.#client.streamFiles(this.#path, body, signal);
    return stopped === true;
  }
}

/** How many lines from `first` on go into one request: at least one. */
function countFitting(lines: readonly string[], first: number, summaryBytes: Bytes): number {
  let sizeBytes = ENVELOPE_BYTES + summaryBytes;
  let count = 0;
  for (const line of lines.slice(first)) {
    const lineBytes = Buffer.byteLength(line);
    if (lineBytes > LINE_BYTES_MAX) throw new Fault("tracker_refused", `a row of ${lineBytes} bytes is more than W&B takes`);
    sizeBytes += Buffer.byteLength(JSON.stringify(line)) + 1;
    if (count > 0 && sizeBytes > REQUEST_BYTES_MAX) break;
    count += 1;
  }
  return count;
}
