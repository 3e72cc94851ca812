import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openFolderStore } from "#blobs";
import { asKeyId, asProjectId, asTenantId, MINUTE, systemClock, VirtualClock } from "#kernel";
import { openEmbeddedStore } from "#state";
import { type BaseDirectory, startCatalog } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";
import { startTenantFiles, type TenantFiles } from "../files/index.ts";
import type { PreparationReport, PrepareData } from "./preparation.ts";
import { Preparations } from "./preparations.ts";

const log = pino({ level: "silent" });
const randomSecret = (sizeBytes: number) => randomBytes(sizeBytes);
const [acme, rival, third] = [principal("acme"), principal("rival"), principal("third")];
const WISH = { model: "base", kind: undefined, declined: new Set<string>(), split: false };
const REPORT = { rows: { read: 2, kept: 1, dropped: 1 } } as PreparationReport;
const never = new AbortController().signal;

function principal(tenant: string): Principal {
  return { keyId: asKeyId("k"), tenantId: asTenantId(tenant), projectId: asProjectId("default"), scopes: new Set(["train"]) };
}

let parts: AsyncDisposableStack;
let files: TenantFiles;
let clock: VirtualClock;
beforeEach(async () => {
  parts = new AsyncDisposableStack();
  clock = new VirtualClock(Date.now());
  const directory = await mkdtemp(join(tmpdir(), "deltaplane-preparations-"));
  parts.defer(() => rm(directory, { recursive: true, force: true }));
  const store = parts.use(await openEmbeddedStore(":memory:", { clock: systemClock }));
  const catalog = parts.use(await startCatalog({ records: store.records, clock, log }));
  const blobs = await openFolderStore({ newName: () => randomSecret(8).toString("hex") }, directory);
  files = parts.use(await startTenantFiles({ blobs, catalog, clock, log, randomSecret }));
});
afterEach(() => parts.disposeAsync());

const bases = { find: (name: string) => (name === "base" ? { name, directory: "/base" } : undefined) } as BaseDirectory;
const preparing = (prepareData: PrepareData | undefined) => new Preparations({ files, bases, clock, prepareData });

async function upload(owner: Principal, content = "a\nb\n", purpose = "fine-tune"): Promise<string> {
  await using upload = await files.receive(owner, "my examples.csv");
  await upload.append(Buffer.from(content));
  return (await upload.keep({ purpose })).id;
}

async function* bytes(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** Writes what it read in capitals; tells when it was told to let go. */
function capitals(): { readonly prepare: PrepareData; readonly disposed: () => number } {
  let disposed = 0;
  const prepare: PrepareData = async ({ content, split }) => {
    const text = Buffer.concat(await Array.fromAsync(content)).toString();
    const written = { train: bytes(text.toUpperCase()), ...(split && { valid: bytes("held out") }) };
    return { report: REPORT, ...written, [Symbol.asyncDispose]: async () => void disposed++ };
  };
  return { prepare, disposed: () => disposed };
}

/** Goes on until it is told to stop. */
const endless: PrepareData = (_task, signal) =>
  new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));

test("what had to be changed is a new file of the tenant's, and what was held out another", async () => {
  const { prepare, disposed } = capitals();
  const file = await upload(acme);
  const { trainingFile, validationFile, report } = await preparing(prepare).prepare(acme, { ...WISH, file, split: true }, never);
  expect([trainingFile.filename, validationFile?.filename]).toEqual([
    "my examples_prepared_train.jsonl",
    "my examples_prepared_valid.jsonl",
  ]);
  expect(Buffer.concat(await Array.fromAsync(files.read(trainingFile, never))).toString()).toBe("A\nB\n");
  expect(trainingFile).toMatchObject({ tenantId: "acme", purpose: "fine-tune" });
  expect([report, disposed(), files.list(acme).length]).toEqual([REPORT, 1, 3]);
});

test("what was ready as it was stays the file that it is", async () => {
  const file = await upload(acme);
  const prepare: PrepareData = async () => ({ report: REPORT, [Symbol.asyncDispose]: async () => undefined });
  const { trainingFile, validationFile } = await preparing(prepare).prepare(acme, { ...WISH, file }, never);
  expect([trainingFile.id, validationFile, files.list(acme).length]).toEqual([file, undefined, 1]);
});

test("somebody else's file, one for another purpose, an unknown base, and too much are refused before anything is read", async () => {
  const preparations = preparing(() => Promise.reject(new Error("it was asked to prepare")));
  const [foreign, other, large] = [await upload(rival), await upload(acme, "x", "evals"), await upload(acme, "x".repeat(33 * 2 ** 20))];
  const refused = (wish: object) => expect(preparations.prepare(acme, { ...WISH, file: other, ...wish }, never)).rejects;
  await refused({ file: foreign }).toMatchObject({ reason: "resource_unknown" });
  await refused({}).toMatchObject({ reason: "parameter_invalid", detail: { field: "file" } });
  await refused({ file: large }).toMatchObject({ reason: "message_too_large" });
  await refused({ file: await upload(acme), model: "nothing" }).toMatchObject({ reason: "model_unknown" });
  await expect(preparing(undefined).prepare(acme, { ...WISH, file: other }, never)).rejects.toMatchObject({ reason: "op_unsupported" });
});

test("a tenant has one at a time, all have two, and what nobody waits for makes room", async () => {
  const preparations = preparing(endless);
  const gone = new AbortController();
  const prepare = async (who: Principal, signal: AbortSignal) => preparations.prepare(who, { ...WISH, file: await upload(who) }, signal);
  const own = await upload(acme);
  const [first, second] = [preparations.prepare(acme, { ...WISH, file: own }, gone.signal), prepare(rival, gone.signal)];
  const ended = Promise.allSettled([first, second]);
  await expect(prepare(acme, never)).rejects.toMatchObject({ reason: "rate_exceeded" });
  await expect(prepare(third, never)).rejects.toMatchObject({ reason: "rate_exceeded" });
  gone.abort(new Error("nobody waits"));
  expect((await ended).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  const begun = Promise.withResolvers<void>();
  const slow = preparing((task, signal) => {
    begun.resolve();
    return endless(task, signal);
  });
  const late = slow.prepare(third, { ...WISH, file: await upload(third) }, never);
  const outcome = expect(late).rejects.toMatchObject({ reason: "deadline_passed" });
  await begun.promise;
  await clock.advance(3 * MINUTE);
  await outcome;
});

test("what breaks while it is kept leaves nothing of itself, and its place is free", async () => {
  const file = await upload(acme);
  const broken: PrepareData = async () => ({
    report: REPORT,
    train: (async function* () {
      yield Buffer.from("half");
      throw new Error("the disk broke");
    })(),
    [Symbol.asyncDispose]: async () => undefined,
  });
  const preparations = preparing(broken);
  for (let time = 0; time < 2; time++) await expect(preparations.prepare(acme, { ...WISH, file }, never)).rejects.toThrow("the disk broke");
  expect(files.list(acme).length).toBe(1);
});
