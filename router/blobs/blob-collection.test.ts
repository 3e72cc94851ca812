import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type BlobStore, openFolderStore } from "#blobs";
import { sha256Hex, systemClock } from "#kernel";
import { openEmbeddedStore, type StateStore } from "#state";
import { recordKey } from "../catalog/index.ts";
import { collectBlobs } from "./blob-collection.ts";

const known = {
  delta: sha256Hex("known"),
  file: `file-${"a".repeat(24)}`,
  running: `ftjob-${"a".repeat(24)}`,
  over: `ftjob-${"b".repeat(24)}`,
};
const NAMES = [
  `deltas/${known.delta}/adapter_config.json`,
  `deltas/${known.delta}/adapter_model.safetensors`,
  `deltas/${sha256Hex("unknown")}/adapter_model.safetensors`,
  `files/acme/${known.file}`,
  `files/acme/file-${"b".repeat(24)}`,
  `checkpoints/${known.running}`,
  `checkpoints/${known.over}`,
  "deltas/incoming/half/adapter_config.json",
];
const REFERENCED = [NAMES[0]!, NAMES[1]!, NAMES[3]!, NAMES[5]!];
const LATER = Number.MAX_SAFE_INTEGER;

let directory: string;
let blobs: BlobStore;
let store: StateStore;
const warnings: string[] = [];
const log = { info: () => undefined, warn: (_: object, message: string) => void warnings.push(message), error: () => undefined };
const deps = () => ({ blobs, records: store.records, clock: systemClock, log, randomSecret: randomBytes });

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "deltaplane-collection-"));
  blobs = await openFolderStore({ newName: () => randomBytes(8).toString("hex") }, directory);
  store = await openEmbeddedStore(":memory:", { clock: systemClock });
  for (const name of NAMES) await write(name);
  // The shapes of records are others' business here: what counts is that they are there.
  await store.records.putIf(recordKey("delta", known.delta), {}, undefined);
  await store.records.putIf(recordKey("file", known.file), {}, undefined);
  await store.records.putIf(recordKey("job", known.running), { state: "running" }, undefined);
  await store.records.putIf(recordKey("job", known.over), { state: "succeeded" }, undefined);
  return async () => {
    await store[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  };
});
afterEach(() => warnings.splice(0));

async function write(name: string): Promise<void> {
  await using incoming = await blobs.receive(name, 100);
  await incoming.append(Buffer.from(name));
  await incoming.keep(name);
}

const names = async () => {
  const all: string[] = [];
  for (const prefix of ["deltas/", "files/", "checkpoints/"]) for await (const { name } of blobs.list(prefix)) all.push(name);
  return all.sort();
};

test("what no record refers to goes; what one refers to stays, and a job's checkpoint until it is over", async () => {
  const removed = await collectBlobs(deps(), LATER);
  expect(await names()).toEqual([...REFERENCED].sort());
  expect([...removed].sort()).toEqual(NAMES.filter((name) => !REFERENCED.includes(name)).sort());
  expect(await collectBlobs(deps(), LATER)).toEqual([]);
});

test("what was written within the grace stays, whoever knows of it", async () => {
  expect(await collectBlobs(deps(), Date.now() - 60_000)).toEqual([]);
  expect(await names()).toEqual([...NAMES].sort());
});

test("nothing goes from a store that has served other records, or whose records were lost", async () => {
  await collectBlobs(deps(), 0); // Marks both as each other's.
  await using empty = await openEmbeddedStore(":memory:", { clock: systemClock });
  expect(await collectBlobs({ ...deps(), records: empty.records }, LATER)).toEqual([]);
  expect(warnings).toEqual([expect.stringMatching(/another cluster's/)]);
  expect(await names()).toEqual([...NAMES].sort());
});

test("while the records do not answer nothing goes", async () => {
  await collectBlobs(deps(), 0);
  const records = { ...store.records, get: () => Promise.reject(new Error("away")) };
  await expect(collectBlobs({ ...deps(), records }, LATER)).rejects.toThrow("away");
  expect(await names()).toEqual([...NAMES].sort());
});
