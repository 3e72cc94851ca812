import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openFolderStore } from "#blobs";
import { asBaseDigest, asDeltaDigest, asTenantId, deltaDigest, Fault, sha256Hex } from "#kernel";
import { createDeltaFiles, type DeltaPiece } from "./delta-files.ts";

const owner = { tenantId: asTenantId("acme"), baseDigest: asBaseDigest(sha256Hex("a base")) };
const DIGEST = deltaDigest({ ...owner, configSha256: sha256Hex("{}"), weightsSha256: sha256Hex("abcdef") });
const DELTA = { digest: DIGEST, ...owner };
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "deltaplane-files-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const open = async () =>
  createDeltaFiles(await openFolderStore({ newName: () => randomBytes(8).toString("hex") }, directory), { config: 10, weights: 20 });

async function* pieces(...list: readonly [file: "config" | "weights", text: string][]): AsyncGenerator<DeltaPiece> {
  for (const [file, text] of list) yield { file, bytes: Buffer.from(text) };
}

const content = async () => (await readdir(directory, { recursive: true })).sort();
const live = () => new AbortController().signal;

test("an upload is hashed on the way, and becomes the content of its digest as a whole", async () => {
  const files = await open();
  await using staged = await files.receive(pieces(["config", "{}"], ["weights", "abc"], ["weights", "def"]));
  expect(staged).toMatchObject({ configSha256: sha256Hex("{}"), weightsSha256: sha256Hex("abcdef"), sizeBytes: 8 });
  expect(await files.has(DIGEST)).toBe(false);
  await staged.keep(DIGEST);
  expect(await files.has(DIGEST)).toBe(true);
  const folder = `deltas/${DIGEST}`;
  expect(await content()).toEqual([".incoming", "deltas", folder, `${folder}/adapter_config.json`, `${folder}/adapter_model.safetensors`]);
  const read = await Array.fromAsync(files.read(DELTA, live()));
  expect(read.map(({ file, bytes }) => [file, Buffer.from(bytes).toString()])).toEqual([
    ["config", "{}"],
    ["weights", "abcdef"],
  ]);
  await files.remove(DIGEST);
  expect(await content()).toEqual([".incoming"]);
});

test("an upload that is not kept leaves nothing", async () => {
  const files = await open();
  {
    await using _staged = await files.receive(pieces(["config", "{}"], ["weights", "abc"]));
  }
  expect(await content()).toEqual([".incoming"]);
});

test("an upload that breaks off or is too large leaves nothing", async () => {
  const files = await open();
  const broken = async function* () {
    yield* pieces(["config", "{}"]);
    throw new Fault("client_gone", "left");
  };
  await expect(files.receive(broken())).rejects.toMatchObject({ reason: "client_gone" });
  await expect(files.receive(pieces(["config", "12345678901"]))).rejects.toMatchObject({ reason: "message_too_large" });
  await expect(files.receive(pieces(["weights", "abc"]))).rejects.toMatchObject({
    reason: "file_missing",
    detail: { file: "adapter_config.json" },
  });
  expect(await content()).toEqual([".incoming"]);
});

test("files that are not what the digest says are told before the last of their bytes, and to another tenant too", async () => {
  const files = await open();
  await using staged = await files.receive(pieces(["config", "{}"], ["weights", "abcdef"]));
  await staged.keep(DIGEST);
  const read: DeltaPiece[] = [];
  const readAll = async (delta: typeof DELTA) => {
    for await (const piece of files.read(delta, live())) read.push(piece);
  };
  await expect(readAll({ ...DELTA, tenantId: asTenantId("rival") })).rejects.toMatchObject({ reason: "checksum_mismatch" });
  await writeFile(join(directory, "deltas", DIGEST, "adapter_model.safetensors"), "abcdeg");
  await expect(readAll(DELTA)).rejects.toMatchObject({ reason: "checksum_mismatch" });
  expect(read.map(({ file }) => file)).toEqual(["config", "config"]);
});

test("what is not there is unknown, and a delta without its configuration is not there", async () => {
  const files = await open();
  await expect(Array.fromAsync(files.read(DELTA, live()))).rejects.toMatchObject({
    reason: "resource_unknown",
    detail: { resource: DIGEST },
  });
});

test("a digest is never a path of somebody's choice", async () => {
  const files = await open();
  await expect(files.remove(asDeltaDigest("../.."))).rejects.toThrow(/64 hexadecimal digits/);
});
