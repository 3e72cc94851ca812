import { randomBytes, randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type BlobStore, MANIFEST_NAME, openBaseFolders, writeBase } from "#blobs";
import { type S3Server, startS3Server } from "./s3-server.ts";
import { openTestStore, setTestKeys, type TemporaryStore, urlOf } from "./s3-under-test.ts";

const FILES = { "config.json": Buffer.from("{}"), "model.safetensors": randomBytes(5000), "onnx/extra.bin": randomBytes(1200) };

let server: S3Server;
let cache: string;
let url: string;
let under: TemporaryStore;
beforeAll(async () => {
  setTestKeys();
  server = await startS3Server();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(async () => {
  server.trouble = () => undefined;
  cache = await mkdtemp(join(tmpdir(), "deltaplane-bases-"));
  url = urlOf(server, `bases/${randomUUID()}`);
  under = await openTestStore(url);
  return async () => {
    await under[Symbol.asyncDispose]();
    await rm(cache, { recursive: true, force: true });
  };
});

const warnings: string[] = [];
const log = { info: () => undefined, warn: (_: object, message: string) => void warnings.push(message), error: () => undefined };
const open = () => openBaseFolders({ log, openStore: () => under.again() }, cache);
const publish = (store: BlobStore) => writeBase(store, "", files(), new AbortController().signal);
const gets = () => server.asked.filter(({ operation, key }) => operation === "get" && !key.endsWith(MANIFEST_NAME));

function files() {
  return Object.entries(FILES).map(([name, bytes]) => ({
    name,
    pieces: async function* () {
      yield bytes;
    },
  }));
}

async function expectBase(directory: string): Promise<void> {
  for (const [name, bytes] of Object.entries(FILES)) expect((await readFile(join(directory, name))).equals(bytes)).toBe(true);
}

test("a base in a bucket is fetched once, however many ask, and found again by a later life", async () => {
  await publish(under.store);
  server.asked.length = 0;
  {
    await using folders = open();
    const [one, other] = await Promise.all([folders.open(url), folders.open(url)]);
    expect(one).toBe(other);
    await expectBase(one!);
    expect(gets()).toHaveLength(3);
  }
  await using later = open();
  await expectBase(await later.open(url));
  expect(gets()).toHaveLength(3);
});

test("what an earlier life left half is gone on with, and found out when it is wrong", async () => {
  await publish(under.store);
  let seen = 0;
  {
    await using folders = open();
    const failed = folders.open(url);
    server.trouble = ({ operation, key }) => {
      if (operation !== "get" || !key.endsWith("model.safetensors")) return undefined;
      return seen++ === 0 ? { kind: "cut", afterBytes: 1500, lingerMs: 100 } : { kind: "status", status: 403, code: "AccessDenied" };
    };
    await expect(failed).rejects.toMatchObject({ reason: "blobs_unavailable" });
  }
  server.trouble = () => undefined;
  server.asked.length = 0;
  const [incoming] = await readdir(cache);
  await writeFile(join(cache, incoming!, "config.json"), "[]"); // As long as the real one, with other bytes.
  await using folders = open();
  await expectBase(await folders.open(url));
  expect(gets().find(({ key }) => key.endsWith("model.safetensors"))).toMatchObject({ range: "bytes=1500-" });
  expect(gets().find(({ key }) => key.endsWith("config.json"))).toMatchObject({ range: undefined });
});

test("a base whose bytes are not what was published is refused, and nobody finds it", async () => {
  await publish(under.store);
  const key = [...server.bucket.objects.keys()].findLast((each) => each.endsWith("model.safetensors"))!;
  server.bucket.put(key, randomBytes(5000), undefined);
  await using folders = open();
  await expect(folders.open(url)).rejects.toMatchObject({ reason: "checksum_mismatch", detail: { resource: "model.safetensors" } });
  expect((await readdir(cache)).filter((name) => !name.endsWith(".incoming"))).toEqual([]);
});

test("a base that is only half published is not there; one that others copied is taken, with a warning", async () => {
  await expect(open().open(url)).rejects.toMatchObject({ reason: "file_missing" });
  await publish(under.store);
  await under.store.remove(MANIFEST_NAME);
  warnings.length = 0;
  await using folders = open();
  await expectBase(await folders.open(url));
  expect(warnings).toEqual([expect.stringMatching(/has no manifest/)]);
});

test("who stops waiting gets its own reason, and the others their base", async () => {
  await publish(under.store);
  await using folders = open();
  const stop = new AbortController();
  const waiting = folders.open(url, stop.signal);
  const other = folders.open(url);
  stop.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  await expectBase(await other);
});

test("a folder is a base as it lies: also a volume that is mounted", async () => {
  await mkdir(join(cache, "volume"));
  await using folders = open();
  expect(await folders.open(join(cache, "volume"))).toBe(join(cache, "volume"));
  expect(await folders.open(`file:${join(cache, "volume")}`)).toBe(join(cache, "volume"));
});
