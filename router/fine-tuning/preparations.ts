import { type Bytes, type Clock, deadlineSignal, Fault, MIB, MINUTE, type Millis } from "#kernel";
import { type BaseDirectory, type FileRecord, unknownModel } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";
import type { TenantFiles } from "../files/index.ts";
import { invalid } from "./job-wish.ts";
import type { PreparationReport, PreparationTask, PrepareData, PreparedData } from "./preparation.ts";

export interface PreparationWish extends Pick<PreparationTask, "kind" | "declined" | "split"> {
  readonly file: string;
  /** The base that is to be trained: it counts the tokens. */
  readonly model: string;
}

export interface Preparation {
  readonly report: PreparationReport;
  /** The file itself when nothing had to be changed, else a new one. */
  readonly trainingFile: FileRecord;
  readonly validationFile: FileRecord | undefined;
}

/** Somebody waits for the answer: this much is read and counted in some seconds. Larger files are for the command line. */
const PREPARED_BYTES_MAX: Bytes = 32 * MIB;
const PREPARATION_MS_MAX: Millis = 2 * MINUTE;
/** Each is a process that keeps a core busy; the router's own work goes first. */
const RUNNING_MAX = 2;
/** With what is added to it, it is no longer than a file's name may be. */
const STEM_CHARACTERS_MAX = 200;

export interface PreparationDeps {
  readonly files: TenantFiles;
  readonly bases: BaseDirectory;
  readonly clock: Clock;
  /** None where the router was put together without a trainer. */
  readonly prepareData: PrepareData | undefined;
}

/** Brings uploaded files into shape, on behalf of their tenants. */
export class Preparations {
  readonly #deps: PreparationDeps;
  /** Whose file is being prepared: one of each tenant at a time. */
  readonly #running = new Set<string>();

  constructor(deps: PreparationDeps) {
    this.#deps = deps;
  }

  /**
   * @throws Fault resource_unknown, model_unknown, message_too_large, rate_exceeded, op_unsupported, deadline_passed; those of the
   * checks, which name the line
   */
  async prepare(principal: Principal, wish: PreparationWish, gone: AbortSignal): Promise<Preparation> {
    const { files, bases, clock, prepareData } = this.#deps;
    if (!prepareData) throw new Fault("op_unsupported", "this router prepares no files: use `deltaplane data prepare`");
    const file = files.get(principal, wish.file);
    if (file.purpose !== "fine-tune") throw invalid("file", `file has the purpose ${file.purpose}; it must be fine-tune`);
    if (file.sizeBytes > PREPARED_BYTES_MAX) {
      const message = `the file has ${file.sizeBytes} bytes; up to ${PREPARED_BYTES_MAX} are prepared here: use \`deltaplane data prepare\``;
      throw new Fault("message_too_large", message, { detail: { field: "file" } });
    }
    const base = bases.find(wish.model);
    if (!base) throw unknownModel(wish.model);
    using _place = this.#place(file.tenantId);
    using limit = deadlineSignal(clock, PREPARATION_MS_MAX, () => new Fault("deadline_passed", "preparing the file took too long"));
    const signal = AbortSignal.any([gone, limit.signal]);
    const content = files.read(file, signal);
    await using prepared = await prepareData({ ...wish, filename: file.filename, content, base }, signal);
    const kept = await this.#keep(principal, file, prepared);
    return { report: prepared.report, ...kept };
  }

  /** @throws Fault rate_exceeded */
  #place(tenantId: string): Disposable {
    if (this.#running.has(tenantId)) throw new Fault("rate_exceeded", "a file of yours is being prepared: wait for it");
    if (this.#running.size >= RUNNING_MAX) throw new Fault("rate_exceeded", "other files are being prepared: try again in a moment");
    this.#running.add(tenantId);
    return { [Symbol.dispose]: () => void this.#running.delete(tenantId) };
  }

  async #keep(principal: Principal, file: FileRecord, { train, valid }: PreparedData): Promise<Omit<Preparation, "report">> {
    const stem = file.filename.replace(/\.\w{1,8}$/, "").slice(0, STEM_CHARACTERS_MAX);
    const keep = (content: AsyncIterable<Uint8Array>, part: string) => this.#keepFile(principal, `${stem}_prepared${part}.jsonl`, content);
    return {
      trainingFile: train ? await keep(train, valid ? "_train" : "") : file,
      validationFile: valid && (await keep(valid, "_valid")),
    };
  }

  async #keepFile(principal: Principal, filename: string, content: AsyncIterable<Uint8Array>): Promise<FileRecord> {
    await using upload = await this.#deps.files.receive(principal, filename);
    for await (const bytes of content) await upload.append(bytes);
    return await upload.keep({ purpose: "fine-tune" });
  }
}
