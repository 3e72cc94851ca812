import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sha256Hex } from "#kernel";
import type { BlobStore } from "./contract.ts";

/** A store to test, empty, and what ends it. */
export interface StoreUnderTest extends AsyncDisposable {
  readonly store: BlobStore;
  /** Another one over the same place, as another process has it. */
  again(): Promise<BlobStore>;
}

const SIZE_MAX = 64 * 1024 * 1024;
const live = () => new AbortController().signal;

export async function write(store: BlobStore, name: string, ...pieces: readonly (string | Uint8Array)[]): Promise<string> {
  await using incoming = await store.receive(name, SIZE_MAX);
  for (const piece of pieces) await incoming.append(Buffer.from(piece));
  const sha256 = await incoming.finish();
  await incoming.keep(name);
  return sha256;
}

export async function text(store: BlobStore, name: string, expected?: { sha256: string; sizeBytes: number }): Promise<string> {
  return Buffer.concat(await Array.fromAsync(store.read(name, expected, live()))).toString();
}

const names = async (store: BlobStore, prefix: string) => (await Array.fromAsync(store.list(prefix))).map(({ name }) => name).sort();

/** What every store promises. `largeBytes`: of a blob that the store takes in more than one piece. */
export function blobStoreSuite(title: string, open: () => Promise<StoreUnderTest>, options: { readonly largeBytes: number }): void {
  describe(`${title} as a blob store`, () => {
    let under: StoreUnderTest;
    let store: BlobStore;
    beforeEach(async () => {
      under = await open();
      store = under.store;
    });
    afterEach(() => under[Symbol.asyncDispose]());

    test("what was kept is read as it was written, by others too", async () => {
      const sha256 = await write(store, "files/acme/file-1", "hello ", "world");
      expect(sha256).toBe(sha256Hex("hello world"));
      expect(await text(store, "files/acme/file-1", { sha256, sizeBytes: 11 })).toBe("hello world");
      const other = await under.again();
      expect(await text(other, "files/acme/file-1")).toBe("hello world");
      await other[Symbol.asyncDispose]();
      expect(await store.find("files/acme/file-1")).toMatchObject({ sizeBytes: 11, writtenAt: expect.any(Number) });
    });

    test("a large blob survives the way there and back", async () => {
      const bytes = randomBytes(options.largeBytes);
      const sha256 = await write(store, "deltas/a/weights", bytes.subarray(0, 1000), bytes.subarray(1000));
      const read = Buffer.concat(await Array.fromAsync(store.read("deltas/a/weights", { sha256, sizeBytes: bytes.length }, live())));
      expect(read.equals(bytes)).toBe(true);
    });

    test("nothing is seen of a blob before it is kept, and nothing is left when it is not", async () => {
      {
        await using incoming = await store.receive("half", SIZE_MAX);
        await incoming.append(Buffer.from("half"));
        expect(await store.find("files/acme/half")).toBeUndefined();
        expect(await names(store, "")).toEqual([]);
      }
      await store.removeUnfinished(Number.MAX_SAFE_INTEGER);
      expect(await names(store, "")).toEqual([]);
    });

    test("an upload in progress is not cleared away as unfinished before its time", async () => {
      await using incoming = await store.receive("slow", SIZE_MAX);
      await incoming.append(Buffer.from("slow"));
      await store.removeUnfinished(0);
      await incoming.keep("files/acme/slow");
      expect(await text(store, "files/acme/slow")).toBe("slow");
    });

    test("a name that is written again shows the old bytes until it shows the new", async () => {
      await write(store, "checkpoints/job", "first");
      await using incoming = await store.receive("job", SIZE_MAX);
      await incoming.append(Buffer.from("second"));
      expect(await text(store, "checkpoints/job")).toBe("first");
      await incoming.keep("checkpoints/job");
      expect(await text(store, "checkpoints/job")).toBe("second");
    });

    test("a blob that is too large, or empty, is refused", async () => {
      await using incoming = await store.receive("data.jsonl", 4);
      await expect(incoming.append(Buffer.from("12345"))).rejects.toMatchObject({ reason: "message_too_large" });
      await using empty = await store.receive("empty.jsonl", 4);
      await expect(empty.finish()).rejects.toMatchObject({ reason: "file_missing", detail: { file: "empty.jsonl" } });
    });

    test("bytes that are not what was expected are told before the last of them", async () => {
      const sha256 = await write(store, "files/acme/file-2", "what was stored");
      const read: Uint8Array[] = [];
      const wrong = async () => {
        for await (const piece of store.read("files/acme/file-2", { sha256: sha256Hex("else"), sizeBytes: 15 }, live())) read.push(piece);
      };
      await expect(wrong()).rejects.toMatchObject({ reason: "checksum_mismatch" });
      expect(read).toEqual([]);
      await expect(text(store, "files/acme/file-2", { sha256, sizeBytes: 14 })).rejects.toMatchObject({ reason: "checksum_mismatch" });
    });

    test("who has the beginning reads the rest", async () => {
      await write(store, "files/acme/file-3", "0123456789");
      expect(Buffer.concat(await Array.fromAsync(store.readFrom("files/acme/file-3", 4, live()))).toString()).toBe("456789");
    });

    test("what is not there is unknown to readers, and no trouble to who removes it", async () => {
      expect(await store.find("files/acme/none")).toBeUndefined();
      await expect(text(store, "files/acme/none")).rejects.toMatchObject({ reason: "resource_unknown" });
      await store.remove("files/acme/none");
    });

    test("a list has what is under a prefix, and only that", async () => {
      for (const name of ["deltas/a/one", "deltas/b/two", "deltasome/c", "files/acme/three"]) await write(store, name, name);
      expect(await names(store, "deltas/")).toEqual(["deltas/a/one", "deltas/b/two"]);
      expect(await names(store, "none/")).toEqual([]);
      await store.remove("deltas/a/one");
      expect(await names(store, "deltas/")).toEqual(["deltas/b/two"]);
      expect(await text(store, "deltas/b/two")).toBe("deltas/b/two");
    });

    test("a reader who aborts gets its own reason", async () => {
      await write(store, "files/acme/file-4", randomBytes(options.largeBytes));
      const stop = new AbortController();
      const reading = (async () => {
        for await (const _ of store.read("files/acme/file-4", undefined, stop.signal)) stop.abort(new Error("enough"));
      })();
      await expect(reading).rejects.toThrow("enough");
    });

    test("a name is never a path of somebody's choice", async () => {
      for (const name of ["../x", "/x", "a//b", "a/../b", ".hidden", "a/.b", ""])
        await expect(store.remove(name), name).rejects.toThrow(/no name of a blob/);
    });

    test("many write and remove in one folder at once, and none loses its own", async () => {
      const each = async (index: number) => {
        await write(store, `deltas/shared/${index}`, `content ${index}`);
        if (index % 2 === 0) await store.remove(`deltas/shared/${index}`);
      };
      await Promise.all(Array.from({ length: 16 }, (_, index) => each(index)));
      expect(await names(store, "deltas/")).toEqual([1, 11, 13, 15, 3, 5, 7, 9].map((index) => `deltas/shared/${index}`));
    });
  });
}
