import { Worker } from "node:worker_threads";
import { assert, Fault } from "#kernel";
import type { BaseInfo, DeltaInspection, DeltaReference, LoadedDelta } from "#model";
import type { LoadAnswer, LoadJob } from "./delta-load-job.ts";

/** Reads deltas away from the main loop. */
export interface DeltaLoader extends AsyncDisposable {
  /** @throws Fault of the delta's own (see `loadDelta`), or delta_unavailable when the loading thread ended. */
  load(directory: string, reference: DeltaReference, base: BaseInfo): Promise<LoadedDelta>;
  /** Checks every value and the digest, keeps nothing. Same faults. */
  inspect(directory: string, reference: DeltaReference, base: BaseInfo): Promise<DeltaInspection>;
}

interface Pending {
  readonly job: LoadJob;
  resolve(answer: LoadAnswer): void;
  reject(error: unknown): void;
}

const WORKER_FILE = new URL("./delta-load-worker.ts", import.meta.url);

/** Beyond what the tiers and a few inspections can ask for at a time. */
const JOBS_WAITING_MAX = 256;

/**
 * A loader with up to `threadsMax` threads, each started when first needed and again after a crash.
 */
export function openDeltaLoader(threadsMax: number, workerFile: URL = WORKER_FILE): DeltaLoader {
  assert(threadsMax > 0, "a loader needs a thread");
  return new ThreadLoader(threadsMax, workerFile);
}

class ThreadLoader implements DeltaLoader {
  readonly #threadsMax: number;
  readonly #workerFile: URL;
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Pending>();
  readonly #queue: Pending[] = [];
  #closed = false;

  constructor(threadsMax: number, workerFile: URL) {
    this.#threadsMax = threadsMax;
    this.#workerFile = workerFile;
  }

  async load(directory: string, reference: DeltaReference, base: BaseInfo): Promise<LoadedDelta> {
    const answer = await this.#submit({ kind: "load", directory, reference, base });
    assert(answer.kind === "loaded", "a load is answered by a delta");
    return answer.delta;
  }

  async inspect(directory: string, reference: DeltaReference, base: BaseInfo): Promise<DeltaInspection> {
    const answer = await this.#submit({ kind: "inspect", directory, reference, base });
    assert(answer.kind === "inspected", "an inspection is answered by an inspection");
    return answer.inspection;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const pending of this.#queue.splice(0)) pending.reject(closed());
    await Promise.all([...this.#idle, ...this.#busy.keys()].map((worker) => worker.terminate()));
  }

  async #submit(job: LoadJob): Promise<LoadAnswer> {
    if (this.#closed) throw closed();
    if (this.#queue.length >= JOBS_WAITING_MAX) throw new Fault("capacity_exhausted", "too many deltas are being read");
    const answer = await new Promise<LoadAnswer>((resolve, reject) => {
      this.#queue.push({ job, resolve, reject });
      this.#assign();
    });
    if (answer.kind === "fault") throw new Fault(answer.fault.reason, answer.fault.message, { detail: answer.fault.detail });
    if (answer.kind === "defect") throw new Fault("bug", "internal error", { cause: new Error(answer.message) });
    return answer;
  }

  #assign(): void {
    while (this.#queue.length > 0) {
      const worker = this.#idle.pop() ?? (this.#busy.size < this.#threadsMax ? this.#start() : undefined);
      if (!worker) return;
      const pending = this.#queue.shift()!;
      this.#busy.set(worker, pending);
      worker.ref();
      worker.postMessage(pending.job);
    }
  }

  #start(): Worker {
    const worker = new Worker(this.#workerFile);
    worker.on("message", (answer: LoadAnswer) => {
      const pending = this.#busy.get(worker);
      this.#busy.delete(worker);
      worker.unref(); // An idle thread keeps no process alive.
      this.#idle.push(worker);
      pending?.resolve(answer);
      this.#assign();
    });
    let cause: unknown;
    worker.on("error", (error) => {
      cause = error;
    });
    worker.on("exit", () => this.#ended(worker, cause));
    return worker;
  }

  /** The thread is gone: its job fails, the next one gets a new thread. */
  #ended(worker: Worker, cause: unknown): void {
    const pending = this.#busy.get(worker);
    this.#busy.delete(worker);
    const idle = this.#idle.indexOf(worker);
    if (idle >= 0) this.#idle.splice(idle, 1);
    pending?.reject(this.#closed ? closed() : new Fault("delta_unavailable", "the loading thread ended", { cause }));
    if (!this.#closed) this.#assign();
  }
}

function closed(): Fault {
  return new Fault("shutting_down", "the node is shutting down");
}
