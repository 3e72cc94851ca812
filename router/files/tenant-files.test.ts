import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openFolderStore } from "#blobs";
import { asKeyId, asProjectId, asTenantId, sha256Hex, systemClock, VirtualClock } from "#kernel";
import { openEmbeddedStore, type StateStore } from "#state";
import { type Catalog, startCatalog } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";
import { FILE_LIMITS, startTenantFiles, type TenantFiles } from "./index.ts";

const log = pino({ level: "silent" });
const randomSecret = (sizeBytes: number) => randomBytes(sizeBytes);
const acme = principal("acme");

function principal(tenant: string | undefined): Principal {
  const owner = tenant === undefined ? undefined : asTenantId(tenant);
  return { keyId: asKeyId("k"), tenantId: owner, projectId: owner && asProjectId("shop"), scopes: new Set(["train"]) };
}

let directory: string;
let store: StateStore;
let catalog: Catalog;
let clock: VirtualClock;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "deltaplane-tenant-files-"));
  store = await openEmbeddedStore(":memory:", { clock: systemClock });
  clock = new VirtualClock(Date.now());
  catalog = await startCatalog({ records: store.records, clock, log });
});
afterEach(async () => {
  await catalog[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const open = async (limits = FILE_LIMITS) => {
  const blobs = await openFolderStore({ newName: () => randomSecret(8).toString("hex") }, directory);
  return startTenantFiles({ blobs, catalog, clock, log, randomSecret }, { limits });
};
const onDisk = async () =>
  (await readdir(directory, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map((entry) => entry.name);

async function keep(files: TenantFiles, content: string, owner = acme) {
  await using upload = await files.receive(owner, "train.jsonl");
  await upload.append(Buffer.from(content));
  return await upload.keep({ purpose: "fine-tune" });
}

test("a file that was kept is its tenant's project's, and found again by who starts later", async () => {
  const first = await open();
  const file = await keep(first, "abc");
  expect(file).toMatchObject({ tenantId: "acme", projectId: "shop", sizeBytes: 3, sha256: sha256Hex("abc"), filename: "train.jsonl" });
  await first[Symbol.asyncDispose]();
  await using second = await open();
  expect(second.list(acme)).toEqual([file]);
  const pieces = await Array.fromAsync(second.read(file, new AbortController().signal));
  expect(Buffer.concat(pieces).toString()).toBe("abc");
  expect(() => second.get(principal("rival"), file.id)).toThrow(expect.objectContaining({ reason: "resource_unknown" }));
  expect(second.get(principal(undefined), file.id)).toEqual(file);
});

test("who has no tenant can keep nothing", async () => {
  await using files = await open();
  await expect(files.receive(principal(undefined), "x")).rejects.toMatchObject({ reason: "scope_missing" });
});

test("many files that expire together go a hundred at a time", async () => {
  await using files = await open();
  for (let index = 0; index < 150; index++) {
    await using upload = await files.receive(acme, "x");
    await upload.append(Buffer.from("x"));
    await upload.keep({ purpose: "fine-tune", expiresAfterMs: 1_000 });
  }
  await clock.advance(1_000);
  expect(files.list(acme)).toEqual([]);
  await clock.advance(59_000);
  await expect.poll(async () => (await onDisk()).length).toBe(50);
  await clock.advance(60_000);
  await expect.poll(onDisk).toEqual([]);
});

test("parallel uploads do not get past what a tenant may keep, whatever becomes of them", async () => {
  const limits = { fileBytesMax: 100, tenantBytesMax: 250, tenantFilesMax: 10, tenantUploadsMax: 4 };
  await using files = await open(limits);
  const fill = async () => {
    await using upload = await files.receive(acme, "x");
    for (let part = 0; part < 10; part++) await upload.append(Buffer.alloc(10, 1));
    return await upload.keep({ purpose: "fine-tune" });
  };
  const settled = await Promise.allSettled(Array.from({ length: 12 }, fill));
  const kept = files.list(acme).reduce((sum, file) => sum + file.sizeBytes, 0);
  expect(kept).toBeLessThanOrEqual(250);
  expect(settled.filter((each) => each.status === "rejected").every((each) => each.reason.reason === "rate_exceeded")).toBe(true);
  // Whatever was refused has given its room back.
  while (files.list(acme).length < 2) await fill();
  expect(await onDisk()).toHaveLength(files.list(acme).length);
});
