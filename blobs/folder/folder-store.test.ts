import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { blobStoreSuite, text, write } from "../contract-suite.ts";
import { openFolderStore } from "./index.ts";

const deps = { newName: () => randomBytes(8).toString("hex") };

async function openTemporary() {
  const directory = await mkdtemp(join(tmpdir(), "deltaplane-blobs-"));
  const open = () => openFolderStore(deps, directory);
  return { directory, store: await open(), again: open, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}

blobStoreSuite("a folder", openTemporary, { largeBytes: 1_000_000 });

test("what a crash left half is cleared away when it is old, and only then", async () => {
  await using under = await openTemporary();
  const [old, fresh] = ["old", "fresh"].map((name) => join(under.directory, ".incoming", name));
  for (const path of [old!, fresh!]) await writeFile(path, "half");
  await utimes(old!, new Date(0), new Date(0));
  await under.store.removeUnfinished(Date.now() - 60_000);
  expect(await readdir(join(under.directory, ".incoming"))).toEqual(["fresh"]);
});

test("blobs that lay in the folder before there was a store are read, and its other files are no blobs", async () => {
  await using under = await openTemporary();
  await mkdir(join(under.directory, "files/acme"), { recursive: true });
  await writeFile(join(under.directory, "files/acme/file-1"), "as it was");
  await writeFile(join(under.directory, "files/acme/.hidden"), "not ours");
  expect(await text(under.store, "files/acme/file-1")).toBe("as it was");
  expect((await Array.fromAsync(under.store.list("files/"))).map(({ name }) => name)).toEqual(["files/acme/file-1"]);
});

test("a folder that is empty goes with its last blob", async () => {
  await using under = await openTemporary();
  await write(under.store, "deltas/a/one", "1");
  await under.store.remove("deltas/a/one");
  expect(await readdir(under.directory)).toEqual([".incoming"]);
});
