import { randomBytes, randomUUID } from "node:crypto";
import { readdir } from "node:fs/promises";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sha256Hex } from "#kernel";
import { blobStoreSuite, text, write } from "../../blobs/contract-suite.ts";
import { type S3Server, startS3Server, type Trouble } from "./s3-server.ts";
import { openTestStore, PART_BYTES, setTestKeys, type TemporaryStore, urlOf } from "./s3-under-test.ts";

let server: S3Server;
beforeAll(async () => {
  setTestKeys();
  server = await startS3Server();
});
afterAll(() => server[Symbol.asyncDispose]());

blobStoreSuite("an S3 bucket", () => openTestStore(urlOf(server, `suite/${randomUUID()}`)), { largeBytes: 10 * PART_BYTES + 1 });

const real = process.env["DELTAPLANE_TEST_S3"];
if (real !== undefined) {
  const [place, parameters = ""] = real.split("?");
  const openReal = () =>
    openTestStore(`${place}/deltaplane-test-${randomUUID()}?${parameters}`, { partBytes: 5 * 1024 * 1024, silenceMsMax: 10_000 });
  blobStoreSuite("the real S3 bucket of DELTAPLANE_TEST_S3", openReal, { largeBytes: 12 * 1024 * 1024 });
}

describe("an S3 bucket that is far from perfect", () => {
  let under: TemporaryStore;
  beforeEach(async () => {
    server.trouble = () => undefined;
    under = await openTestStore(urlOf(server, `trouble/${randomUUID()}`));
    server.asked.length = 0;
    return () => under[Symbol.asyncDispose]();
  });

  /** Each trouble once, for requests of an operation, in this order. */
  function meet(operation: string, ...troubles: readonly Trouble[]): void {
    const left = [...troubles];
    server.trouble = (asked) => (asked.operation === operation ? left.shift() : undefined);
  }

  test("throttling, resets and bad gateways are waited out", async () => {
    meet("put", { kind: "slow_down" }, { kind: "reset" }, { kind: "status", status: 502, code: "BadGateway" });
    await write(under.store, "files/a", "content");
    meet("get", { kind: "slow_down" }, { kind: "reset" });
    expect(await text(under.store, "files/a")).toBe("content");
    meet("head", { kind: "slow_down" });
    expect(await under.store.find("files/a")).toMatchObject({ sizeBytes: 7, sha256: sha256Hex("content") });
    meet("list", { kind: "slow_down" });
    expect(await Array.fromAsync(under.store.list("files/"))).toHaveLength(1);
  });

  test("a store that goes on throttling is given up, with advice to come again", async () => {
    server.trouble = () => ({ kind: "slow_down" });
    const failure = { reason: "blobs_unavailable", retry: { kind: "after" } };
    await expect(write(under.store, "files/a", "content")).rejects.toMatchObject(failure);
    await expect(text(under.store, "files/a")).rejects.toMatchObject(failure);
    expect(server.asked.filter(({ operation }) => operation === "put")).toHaveLength(4);
  });

  test("a refusal is not repeated, and names its code", async () => {
    meet("put", { kind: "status", status: 403, code: "AccessDenied" });
    await expect(write(under.store, "files/a", "x")).rejects.toThrow(/refuses \(put\): AccessDenied/);
    expect(server.asked).toHaveLength(1);
  });

  test("a download goes on where it broke, at any byte, however often, and gives the same bytes", async () => {
    // An answer without its length, or on a connection that was just lost, is no progress, and counts.
    await using patient = await openTestStore(urlOf(server, `trouble/${randomUUID()}`), { triesMax: 12 });
    const bytes = randomBytes(3000);
    const sha256 = await write(patient.store, "deltas/d/weights", bytes);
    const cut = fc.record({ kind: fc.constantFrom("cut" as const, "truncate" as const), afterBytes: fc.integer({ min: 1, max: 1500 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(cut, { minLength: 1, maxLength: 4 }), async (troubles) => {
        server.asked.length = 0;
        meet("get", ...troubles);
        const read = Buffer.concat(
          await Array.fromAsync(patient.store.read("deltas/d/weights", { sha256, sizeBytes: 3000 }, new AbortController().signal)),
        );
        expect(read.equals(bytes)).toBe(true);
        const ranges = server.asked.map(({ range }) => (range === undefined ? 0 : Number(/\d+/.exec(range)![0])));
        expect(ranges).toEqual([...ranges].sort((one, other) => one - other));
      }),
      { numRuns: 25 },
    );
  });

  test("an answer that stalls is given up, and the rest asked for again", async () => {
    await using hasty = await openTestStore(urlOf(server, `trouble/${randomUUID()}`), { silenceMsMax: 250 });
    const sha256 = await write(hasty.store, "files/a", "0123456789");
    meet("get", { kind: "stall", afterBytes: 4 });
    expect(await text(hasty.store, "files/a", { sha256, sizeBytes: 10 })).toBe("0123456789");
    expect(server.asked.at(-1)).toMatchObject({ range: "bytes=4-" });
  });

  test("a byte that changed in the store is found before the end of it leaves", async () => {
    await write(under.store, "files/a", "0123456789");
    meet("get", { kind: "wrong_byte", at: 5 });
    await expect(text(under.store, "files/a")).rejects.toMatchObject({ reason: "checksum_mismatch" });
  });

  test("an object that is replaced while it is read is not glued together", async () => {
    await write(under.store, "checkpoints/job", "a".repeat(10));
    const key = [...server.bucket.objects.keys()].find((each) => under.store.url.endsWith(each.replace("/checkpoints/job", "")))!;
    server.trouble = ({ range }) => {
      if (range === undefined) return { kind: "cut", afterBytes: 4, lingerMs: 100 };
      server.bucket.put(key, Buffer.from("b".repeat(10)), sha256Hex("b".repeat(10)));
      return undefined;
    };
    await expect(text(under.store, "checkpoints/job")).rejects.toMatchObject({ reason: "checksum_mismatch" });
    expect(server.asked.at(-1)).toMatchObject({ range: "bytes=4-" });
  });

  test("an upload in parts repeats only the part that broke", async () => {
    const bytes = randomBytes(5 * PART_BYTES + 10);
    meet("put_part", { kind: "reset" }, { kind: "slow_down" }, { kind: "lost_answer" }, { kind: "status", status: 400, code: "BadDigest" });
    const sha256 = await write(under.store, "deltas/d/weights", bytes);
    expect(server.asked.filter(({ operation }) => operation === "put_part")).toHaveLength(6 + 4);
    expect(await under.store.find("deltas/d/weights")).toMatchObject({ sizeBytes: bytes.length, sha256 });
    expect(server.bucket.uploads.size).toBe(0);
  });

  test("an upload whose last answer was lost is found to be whole", async () => {
    meet("complete_upload", { kind: "lost_answer" });
    const bytes = randomBytes(2 * PART_BYTES);
    const sha256 = await write(under.store, "deltas/d/weights", bytes);
    expect(await text(under.store, "deltas/d/weights", { sha256, sizeBytes: bytes.length })).toBe(bytes.toString());
  });

  test("an upload that fails or is cancelled is never seen, and leaves no parts", async () => {
    server.trouble = ({ operation }) => (operation === "put_part" ? { kind: "slow_down" } : undefined);
    await expect(write(under.store, "deltas/d/weights", randomBytes(3 * PART_BYTES))).rejects.toMatchObject({
      reason: "blobs_unavailable",
    });
    const stop = new AbortController();
    server.trouble = ({ operation }) => {
      if (operation === "put_part") stop.abort(new Error("enough"));
      return undefined;
    };
    await using incoming = await under.store.receive("weights", 10 * PART_BYTES);
    await incoming.append(randomBytes(3 * PART_BYTES));
    await expect(incoming.keep("deltas/d/weights", stop.signal)).rejects.toThrow("enough");
    expect(await under.store.find("deltas/d/weights")).toBeUndefined();
    expect(server.bucket.uploads.size).toBe(0);
  });

  test("uploads and spooled files that a crash left are cleared away when they are old, over all pages", async () => {
    const prefix = [...server.bucket.objects.keys()].length; // Whatever other tests left is not ours.
    const before = Date.now();
    const root = /trouble\/[^/]+/.exec(under.store.url)![0];
    for (const name of ["a", "b", "c", "d", "e"]) server.bucket.begin(`${root}/deltas/${name}`, undefined, new Date(before - 1000));
    const running = server.bucket.begin(`${root}/deltas/running`, undefined, new Date(before + 60_000));
    const foreign = server.bucket.begin("elsewhere/x", undefined, new Date(0));
    await under.store.removeUnfinished(before);
    expect([...server.bucket.uploads.keys()].sort()).toEqual([running, foreign].sort());
    expect(server.bucket.objects.size).toBe(prefix);
    expect(await readdir(under.spoolDirectory)).toEqual([]);
    server.bucket.uploads.clear();
  });

  test("a request that is not signed with the key is refused by the test server, so that ours are known to be", async () => {
    const answer = await fetch(`${server.endpoint}/${server.bucketName}/trouble/x`, { method: "PUT", body: "x" });
    expect(answer.status).toBe(403);
  });
});
