import { writeSync } from "node:fs";
import { type FileHandle, mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { crc32 } from "node:zlib";
import { assert } from "./assert.ts";
import { Fault } from "./fault.ts";
import { type Bytes, MIB } from "./units.ts";

/**
 * A durable list of lines on disk, in numbered segments `<file>.<number>`. Each line stands alone: `<crc32> <record>`,
 * so that a torn or damaged one costs nothing but itself. A segment is written by one process life only; the next life
 * reads it and begins another, so nothing is ever appended behind a torn tail.
 */
export interface AppendLog extends AsyncDisposable {
  /** What earlier lives left, oldest first. */
  readonly recovered: readonly LogRecord[];
  /** What of it could not be read: a line torn by a crash, or damaged since. */
  readonly damaged: readonly LogDamage[];
  /** On disk and on the way there. */
  readonly sizeBytes: Bytes;
  /**
   * Durable (fdatasync) when it resolves with the record's segment; calls that overlap share one sync.
   * @throws Fault capacity_exhausted when the log is full, store_unreachable when the disk refuses; the record is then not in the log.
   */
  append(record: string): Promise<number>;
  /** Deletes the segments before `segment`; the newest one only after the log is closed. Idempotent. */
  dropBefore(segment: number): Promise<void>;
}

export interface LogRecord {
  readonly segment: number;
  readonly record: string;
}

export interface LogDamage {
  readonly file: string;
  /** One-based. */
  readonly line: number;
  readonly sizeBytes: Bytes;
}

export interface AppendLogOptions {
  /** Segments are this path with a number appended; its folder is made when absent. */
  readonly file: string;
  /** Appends beyond this are refused. */
  readonly sizeBytesMax: Bytes;
  /** A segment is closed when it is this large; what is dropped is dropped by whole segments. Default 1 MiB. */
  readonly segmentBytesMax?: Bytes;
}

const SEGMENT_BYTES_MAX: Bytes = MIB;

/** Reads what earlier lives left and makes ready to append. One process at a time may have a log open. */
export async function openAppendLog(options: AppendLogOptions): Promise<AppendLog> {
  const file = resolve(options.file);
  try {
    await mkdir(dirname(file), { recursive: true });
    const segments: Segment[] = [];
    for (const number of await segmentNumbers(file)) segments.push(await readSegment(file, number));
    const log = new SegmentedLog({ segmentBytesMax: SEGMENT_BYTES_MAX, ...options, file }, segments);
    await log.dropEmpty();
    return log;
  } catch (error) {
    throw diskFault(`cannot open the log ${file}`, error);
  }
}

interface Segment {
  readonly number: number;
  readonly records: readonly LogRecord[];
  readonly damaged: readonly LogDamage[];
  readonly sizeBytes: Bytes;
}

interface Waiting {
  readonly line: string;
  readonly done: (segment: number) => void;
  readonly failed: (fault: Fault) => void;
}

class SegmentedLog implements AppendLog {
  readonly recovered: readonly LogRecord[];
  readonly damaged: readonly LogDamage[];
  readonly #options: Required<AppendLogOptions>;
  /** Sizes of the segments on disk, the open one included. */
  readonly #sizes: Map<number, Bytes>;
  #open: { readonly number: number; readonly handle: FileHandle } | undefined;
  #nextNumber: number;
  #waiting: Waiting[] = [];
  #waitingBytes: Bytes = 0;
  /** The one writer, while there is something to write. */
  #writing: Promise<void> | undefined;
  #closed = false;

  constructor(options: Required<AppendLogOptions>, segments: readonly Segment[]) {
    this.#options = options;
    this.recovered = segments.flatMap((segment) => segment.records);
    this.damaged = segments.flatMap((segment) => segment.damaged);
    this.#sizes = new Map(segments.map((segment) => [segment.number, segment.sizeBytes]));
    this.#nextNumber = Math.max(0, ...this.#sizes.keys()) + 1;
  }

  get sizeBytes(): Bytes {
    return this.#sizes.values().reduce((sum, size) => sum + size, this.#waitingBytes);
  }

  async append(record: string): Promise<number> {
    assert(record !== "" && !record.includes("\n"), "a log record is one line, and not an empty one");
    if (this.#closed) throw new Fault("shutting_down", `the log ${this.#options.file} is closed`);
    const line = formatLine(record);
    const sizeBytes = Buffer.byteLength(line);
    const { file, sizeBytesMax } = this.#options;
    if (this.sizeBytes + sizeBytes > sizeBytesMax)
      throw new Fault("capacity_exhausted", `the log ${basename(file)} is full: ${this.sizeBytes} of ${sizeBytesMax} bytes are in use`);
    this.#waitingBytes += sizeBytes;
    return new Promise((done, failed) => {
      this.#waiting.push({ line, done, failed });
      this.#writing ??= this.#writeAll();
    });
  }

  async dropBefore(segment: number): Promise<void> {
    // Chosen at once: what is written while files are removed is none of this call's business. And the newest segment may
    // hold records whose writers have not heard of it yet.
    const newest = this.#closed ? this.#nextNumber : this.#nextNumber - 1;
    await this.#remove(this.#sizes.keys().filter((number) => number < segment && number < newest));
  }

  /** Segments of earlier lives that hold no readable record would otherwise wait for a delivery that never comes. */
  async dropEmpty(): Promise<void> {
    const used = new Set(this.recovered.map((record) => record.segment));
    await this.#remove(this.#sizes.keys().filter((number) => !used.has(number)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#writing;
    await this.#seal();
  }

  /** Group commit: whatever came while the last sync ran goes out with the next one. */
  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      const bytes = Buffer.from(batch.map((waiting) => waiting.line).join(""));
      try {
        const number = await this.#write(bytes);
        for (const waiting of batch) waiting.done(number);
      } catch (error) {
        const fault = writeFault(error);
        for (const waiting of batch) waiting.failed(fault);
      }
      this.#waitingBytes -= bytes.length;
    }
    this.#writing = undefined;
  }

  async #write(bytes: Buffer): Promise<number> {
    const { number, handle } = await this.#openSegment();
    const before = this.#sizes.get(number) ?? 0;
    try {
      writeWhole(handle.fd, bytes);
      await handle.datasync();
    } catch (error) {
      // After a failed sync nobody knows what is on disk: cut these lines off, and never use this segment again.
      await handle.truncate(before).catch(() => undefined); // A disk that refuses this too leaves whole or torn lines; both are harmless.
      await this.#seal();
      throw error;
    }
    this.#sizes.set(number, before + bytes.length);
    if (before + bytes.length >= this.#options.segmentBytesMax) await this.#seal();
    return number;
  }

  async #openSegment() {
    if (this.#open) return this.#open;
    const number = this.#nextNumber++;
    const handle = await open(segmentPath(this.#options.file, number), "ax");
    this.#sizes.set(number, 0);
    this.#open = { number, handle };
    await syncFolder(dirname(this.#options.file)); // Else a power cut could take the whole file with its synced bytes.
    return this.#open;
  }

  async #remove(numbers: Iterable<number>): Promise<void> {
    for (const number of [...numbers]) {
      await rm(segmentPath(this.#options.file, number), { force: true });
      this.#sizes.delete(number);
    }
  }

  async #seal(): Promise<void> {
    const segment = this.#open;
    this.#open = undefined;
    await segment?.handle.close();
  }
}

function formatLine(record: string): string {
  return `${crc32(record).toString(16).padStart(8, "0")} ${record}\n`;
}

/** The record of a line, or undefined when the line is torn or damaged. */
function parseLine(line: string): string | undefined {
  const record = line.slice(9);
  return record !== "" && formatLine(record) === `${line}\n` ? record : undefined; // The checksum of nothing is 0: zeros would pass.
}

function segmentPath(file: string, number: number): string {
  return `${file}.${String(number).padStart(9, "0")}`;
}

async function segmentNumbers(file: string): Promise<readonly number[]> {
  const prefix = `${basename(file)}.`;
  const names = (await readdir(dirname(file))).filter((name) => name.startsWith(prefix));
  const suffixes = names.map((name) => name.slice(prefix.length)).filter((suffix) => /^\d{9,}$/.test(suffix));
  return suffixes.map(Number).sort((one, other) => one - other);
}

async function readSegment(file: string, number: number): Promise<Segment> {
  const path = segmentPath(file, number);
  const content = await readFile(path);
  const records: LogRecord[] = [];
  const damaged: LogDamage[] = [];
  const lines = content.toString("utf8").split("\n");
  if (lines.at(-1) === "") lines.pop(); // What follows the last line feed of a whole file.
  for (const [index, line] of lines.entries()) {
    const record = parseLine(line);
    if (record !== undefined) records.push({ segment: number, record });
    else damaged.push({ file: join(path), line: index + 1, sizeBytes: Buffer.byteLength(line) });
  }
  return { number, records, damaged, sizeBytes: content.length };
}

/** Into the page cache at once: going through the thread pool twice per commit would take longer than the disk. */
function writeWhole(fd: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function diskFault(message: string, error: unknown): Fault {
  if (error instanceof Fault) return error;
  return new Fault("store_unreachable", `${message}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
}

/** Without a path: it reaches customers, whose requests can't be billed. Its cause has the whole story. */
function writeFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  const why = (error as NodeJS.ErrnoException).code ?? "unknown";
  return new Fault("store_unreachable", `a log on this machine can't be written: ${why}`, { cause: error });
}
