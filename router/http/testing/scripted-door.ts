import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import { pino } from "pino";
import { openFolderStore } from "#blobs";
import { type Clock, seededRandom, systemClock } from "#kernel";
import { openEmbeddedStore } from "#state";
import { startCatalog } from "../../catalog/index.ts";
import { FILE_LIMITS, type FileLimits, startTenantFiles } from "../../files/index.ts";
import { type FineTuning, Preparations } from "../../fine-tuning/index.ts";
import { createLedger } from "../../ledger/index.ts";
import { priceLookup } from "../../prices/index.ts";
import { startHttpServer } from "../http-server.ts";
import type { OperationDeps } from "../operations/index.ts";
import { type Script, scriptedCore } from "./scripted-core.ts";

/** Nobody asks this door for jobs. */
const NO_JOBS = {} as FineTuning;
/** Nor for a base. */
const NO_BASES = {} as ConstructorParameters<typeof Preparations>[0]["bases"];
/** Nor for accounts and the cluster. */
const NO_OPERATIONS = { catalog: {} } as OperationDeps;

/** The HTTP door on a free port: what the core says is scripted, everything else is real. */
export interface ScriptedDoor extends AsyncDisposable {
  readonly url: string;
  /** The official client, without retries unless it is given some. */
  readonly openai: OpenAI;
  client(key: string): OpenAI;
  readonly filesDirectory: string;
  /** Names of models that were removed. */
  readonly removed: readonly string[];
}

export async function openScriptedDoor(
  script: Script,
  { clock = systemClock, limits = FILE_LIMITS }: { readonly clock?: Clock; readonly limits?: FileLimits } = {},
): Promise<ScriptedDoor> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "deltaplane-door-"));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const log = pino({ level: "silent" });
  const randomSecret = (sizeBytes: number) => randomBytes(sizeBytes);
  const store = stack.use(await openEmbeddedStore(":memory:", { clock: systemClock }));
  const catalog = stack.use(await startCatalog({ records: store.records, clock, log }));
  const filesDirectory = join(directory, "blobs");
  const blobs = await openFolderStore({ newName: () => randomSecret(8).toString("hex") }, filesDirectory);
  const files = stack.use(await startTenantFiles({ blobs, catalog, clock, log, randomSecret }, { limits }));
  const prices = priceLookup(catalog.view, store.records);
  const ledger = createLedger({ journal: store.journal, meters: store.meters, clock, random: seededRandom(2), price: prices });
  const removed: string[] = [];
  const removeModel = async (_: unknown, name: string) => void removed.push(name);
  const random = seededRandom(1);
  const deps = {
    core: scriptedCore(script),
    clock,
    random,
    log,
    files,
    ledger,
    prices,
    removeModel,
    view: catalog.view,
    fineTuning: NO_JOBS,
    preparations: new Preparations({ files, bases: NO_BASES, clock, prepareData: undefined }),
    operations: NO_OPERATIONS,
  };
  const server = stack.use(await startHttpServer(deps, { host: "127.0.0.1", port: 0 }));
  const parts = stack.move();
  const url = `http://127.0.0.1:${server.port}`;
  const client = (apiKey: string) => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
  return { url, openai: client("good"), client, filesDirectory, removed, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}
