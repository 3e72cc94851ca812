import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { asDeltaDigest, Fault, sha256Hex } from "#kernel";
import { type DeltaPiece, openDeltaFiles } from "./delta-files.ts";

const DIGEST = asDeltaDigest(sha256Hex("a delta"));
const deps = { randomSecret: (sizeBytes: number) => randomBytes(sizeBytes) };
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "deltaplane-files-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const open = () => openDeltaFiles(deps, { directory, limits: { config: 10, weights: 20 } });

async function* pieces(...list: readonly [file: "config" | "weights", text: string][]): AsyncGenerator<DeltaPiece> {
  for (const [file, text] of list) yield { file, bytes: Buffer.from(text) };
}

async function content(): Promise<readonly string[]> {
  return (await readdir(directory, { recursive: true })).sort();
}

test("an upload is hashed on the way, and becomes the content of its digest as a whole", async () => {
  const files = await open();
  await using staged = await files.receive(pieces(["config", "{}"], ["weights", "abc"], ["weights", "def"]));
  expect(staged).toMatchObject({ configSha256: sha256Hex("{}"), weightsSha256: sha256Hex("abcdef"), sizeBytes: 8 });
  expect(await files.has(DIGEST)).toBe(false);
  await staged.keep(DIGEST);
  expect(await content()).toEqual([DIGEST, `${DIGEST}/adapter_config.json`, `${DIGEST}/adapter_model.safetensors`, "incoming"].sort());
  const read = await Array.fromAsync(files.read(DIGEST, new AbortController().signal));
  expect(read.map(({ file, bytes }) => [file, Buffer.from(bytes).toString()])).toEqual([
    ["config", "{}"],
    ["weights", "abcdef"],
  ]);
  await files.remove(DIGEST);
  expect(await content()).toEqual(["incoming"]);
});

test("an upload that is not kept leaves nothing", async () => {
  const files = await open();
  {
    await using _staged = await files.receive(pieces(["config", "{}"], ["weights", "abc"]));
  }
  expect(await content()).toEqual(["incoming"]);
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
  expect(await content()).toEqual(["incoming"]);
});

test("content that is there already stays as it is", async () => {
  const files = await open();
  for (const weights of ["first", "second"]) {
    await using staged = await files.receive(pieces(["config", "{}"], ["weights", weights]));
    await staged.keep(DIGEST);
  }
  const read = await Array.fromAsync(files.read(DIGEST, new AbortController().signal));
  expect(Buffer.from(read[1]!.bytes).toString()).toBe("first");
});

test("what a crash left unfinished is cleared away, what was kept is not", async () => {
  await mkdir(join(directory, "incoming", "half"), { recursive: true });
  await writeFile(join(directory, "incoming", "half", "adapter_config.json"), "{");
  await mkdir(join(directory, DIGEST));
  const files = await open();
  expect(await content()).toEqual([DIGEST, "incoming"].sort());
  expect(await files.has(DIGEST)).toBe(true);
});

test("a digest is never a path of somebody's choice", async () => {
  const files = await open();
  await expect(files.remove(asDeltaDigest("../.."))).rejects.toThrow(/64 hexadecimal digits/);
});
