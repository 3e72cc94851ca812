import { describe, expect, it } from "vitest";
import type { RecordChange } from "../contract.ts";
import type { OpenStore } from "../contract-suite.ts";
import { NAME_LENGTH_MAX, RECORD_BYTES_MAX } from "../limits.ts";

/** Small JSON values, written by compare-and-set. */
export function describeRecords(open: OpenStore): void {
  describe("records", () => {
    it("are written by compare-and-set only", async () => {
      const { records } = open.store;
      expect(await records.get("alias/a")).toBeUndefined();
      expect(await records.putIf("alias/a", { to: "x" }, 7)).toEqual({ kind: "conflict", version: undefined });
      const made = await records.putIf("alias/a", { to: "x" }, undefined);
      expect(made.kind).toBe("put");
      expect(await records.putIf("alias/a", { to: "y" }, undefined)).toEqual({ kind: "conflict", version: made.version });
      const changed = await records.putIf("alias/a", { to: "y" }, made.version);
      expect(await records.get("alias/a")).toEqual({ key: "alias/a", value: { to: "y" }, version: changed.version });
      expect(await records.removeIf("alias/a", made.version!)).toEqual({ kind: "conflict", version: changed.version });
      expect((await records.removeIf("alias/a", changed.version!)).kind).toBe("put");
      expect(await records.get("alias/a")).toBeUndefined();
    });

    it("never give a version twice, also not to a record that is made again", async () => {
      const { records } = open.store;
      const first = await records.putIf("key/1", 1, undefined);
      await records.removeIf("key/1", first.version!);
      const second = await records.putIf("key/1", 2, undefined);
      expect(second.version).toBeGreaterThan(first.version!);
      expect((await records.putIf("key/1", 3, first.version)).kind).toBe("conflict");
    });

    it("let one of many writers win", async () => {
      const { records } = open.store;
      const puts = await Promise.all(Array.from({ length: 10 }, (_, writer) => records.putIf("base/b", writer, undefined)));
      expect(puts.filter(({ kind }) => kind === "put")).toHaveLength(1);
    });

    it("are listed by prefix, in order, and the prefix is no pattern", async () => {
      const { records } = open.store;
      for (const key of ["delta/b", "delta/a", "delta%/x", "deltb", "delt"]) await records.putIf(key, key, undefined);
      expect((await records.list("delta/")).map(({ value }) => value)).toEqual(["delta/a", "delta/b"]);
      expect((await records.list("")).map(({ key }) => key)).toEqual(["delt", "delta%/x", "delta/a", "delta/b", "deltb"]);
    });

    it("are still there after the store was closed and opened again", async () => {
      const put = await open.store.records.putIf("tenant/acme", { name: "Ä" }, undefined);
      await open.reopen();
      expect(await open.store.records.get("tenant/acme")).toEqual({ key: "tenant/acme", value: { name: "Ä" }, version: put.version });
    });

    it("refuse what is no record, and name the field", async () => {
      const { records } = open.store;
      await expect(records.putIf("", 1, undefined)).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field: "key" } });
      await expect(records.putIf("x".repeat(NAME_LENGTH_MAX + 1), 1, undefined)).rejects.toMatchObject({ detail: { field: "key" } });
      await expect(records.putIf("half a pair \ud800", 1, undefined)).rejects.toMatchObject({ detail: { field: "key" } });
      await expect(records.putIf("a", undefined, undefined)).rejects.toMatchObject({ detail: { field: "value" } });
      await expect(records.putIf("a", "x".repeat(RECORD_BYTES_MAX), undefined)).rejects.toMatchObject({ reason: "message_too_large" });
    });

    it("are watched: first what is there, then each change, until the signal aborts", async () => {
      const { records } = open.store;
      await records.putIf("alias/a", 1, undefined);
      await records.putIf("other/b", 1, undefined);
      const stop = new AbortController();
      const seen: RecordChange[] = [];
      const watching = (async () => {
        for await (const change of records.watch("alias/", stop.signal)) {
          seen.push(change);
          if (change.key === "alias/a" && change.value === 1) {
            const made = await records.putIf("alias/c", 2, undefined);
            await records.putIf("other/d", 2, undefined);
            await records.removeIf("alias/c", made.version!);
          }
          if (change.value === undefined) stop.abort();
        }
      })();
      await watching;
      expect(seen.map(({ key }) => key).every((key) => key.startsWith("alias/"))).toBe(true);
      expect(seen.at(0)).toMatchObject({ key: "alias/a", value: 1 });
      expect(seen.at(-1)).toMatchObject({ key: "alias/c", value: undefined });
    });

    it("are watched without a growing queue: whoever is slow gets the last version of each", async () => {
      const { records } = open.store;
      const stop = new AbortController();
      const watch = records.watch("alias/", stop.signal)[Symbol.asyncIterator]();
      let version = (await records.putIf("alias/a", 0, undefined)).version;
      expect((await watch.next()).value).toMatchObject({ value: 0 });
      for (let value = 1; value <= 100; value++) version = (await records.putIf("alias/a", value, version)).version;
      let last: RecordChange | undefined;
      let reads = 0;
      while (last?.value !== 100) {
        last = (await watch.next()).value as RecordChange;
        reads++;
      }
      expect(reads).toBeLessThanOrEqual(100);
      stop.abort();
      expect((await watch.next()).done).toBe(true);
    });
  });
}
