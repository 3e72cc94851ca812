import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { asBaseDigest, asDeltaDigest, asKeyId, asRequestId, asTenantId, type Claim } from "#kernel";
import type { RecordChange, StateStore } from "./contract.ts";

/** What every implementation of {@link StateStore} promises. `open` opens the same, at first empty, store at every call. */
export function describeStateStore(name: string, fresh: () => Promise<{ open(): Promise<StateStore>; remove(): Promise<void> }>): void {
  describe(name, () => {
    let place: Awaited<ReturnType<typeof fresh>>;
    let store: StateStore;
    beforeEach(async () => {
      place = await fresh();
      store = await place.open();
    });
    afterEach(async () => {
      await store[Symbol.asyncDispose]();
      await place.remove();
    });
    const reopen = async () => {
      await store[Symbol.asyncDispose]();
      store = await place.open();
    };
    describeRecords(() => store, reopen);
    describeLedger(() => store, reopen, fresh);
  });
}

function describeRecords(store: () => StateStore, reopen: () => Promise<void>): void {
  describe("records", () => {
    it("are written by compare-and-set only", async () => {
      const { records } = store();
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
      const { records } = store();
      const first = await records.putIf("key/1", 1, undefined);
      await records.removeIf("key/1", first.version!);
      const second = await records.putIf("key/1", 2, undefined);
      expect(second.version).toBeGreaterThan(first.version!);
      expect((await records.putIf("key/1", 3, first.version)).kind).toBe("conflict");
    });

    it("let one of many writers win", async () => {
      const { records } = store();
      const puts = await Promise.all(Array.from({ length: 10 }, (_, writer) => records.putIf("base/b", writer, undefined)));
      expect(puts.filter(({ kind }) => kind === "put")).toHaveLength(1);
    });

    it("are listed by prefix, in order, and the prefix is no pattern", async () => {
      const { records } = store();
      for (const key of ["delta/b", "delta/a", "delta%/x", "deltb", "delt"]) await records.putIf(key, key, undefined);
      expect((await records.list("delta/")).map(({ value }) => value)).toEqual(["delta/a", "delta/b"]);
      expect((await records.list("")).map(({ key }) => key)).toEqual(["delt", "delta%/x", "delta/a", "delta/b", "deltb"]);
    });

    it("are still there after the store was closed and opened again", async () => {
      const put = await store().records.putIf("tenant/acme", { name: "Ä" }, undefined);
      await reopen();
      expect(await store().records.get("tenant/acme")).toEqual({ key: "tenant/acme", value: { name: "Ä" }, version: put.version });
    });

    it("refuse what is no record, and name the field", async () => {
      const { records } = store();
      await expect(records.putIf("", 1, undefined)).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field: "key" } });
      await expect(records.putIf("a", undefined, undefined)).rejects.toMatchObject({ detail: { field: "value" } });
      await expect(records.putIf("a", "x".repeat(1 << 20), undefined)).rejects.toMatchObject({ reason: "message_too_large" });
    });

    it("are watched: first what is there, then each change, until the signal aborts", async () => {
      const { records } = store();
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
      const { records } = store();
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

const base = asBaseDigest("b".repeat(64));
const DAY_MS = 86_400_000;

/** What the router claims; a node's claim is the same without key and model. */
function routerClaim(request: number, tokens: number, more: Partial<Claim> = {}): Claim {
  return {
    requestId: asRequestId(`request-${request}`),
    attempt: 1,
    tenantId: asTenantId(request % 2 ? "acme" : "zeta"),
    keyId: asKeyId(`key-${request % 3}`),
    baseDigest: base,
    ...(request % 4 ? { deltaDigest: asDeltaDigest("d".repeat(64)) } : {}),
    model: `model-${request % 2}`,
    priceVersion: 1,
    usage: { promptTokens: 10, cachedTokens: request % 5, completionTokens: tokens },
    outcome: "running",
    admittedAt: DAY_MS * (request % 3) + 5,
    ...more,
  };
}

function nodeClaim(request: number, tokens: number): Claim {
  const { keyId: _, model: __, ...claim } = routerClaim(request, tokens);
  return claim;
}

function describeLedger(store: () => StateStore, reopen: () => Promise<void>, fresh: Parameters<typeof describeStateStore>[1]): void {
  describe("ledger", () => {
    it("posts what each claim adds to what it knows", async () => {
      const { ledger } = store();
      const postings = await ledger.post([nodeClaim(1, 4), routerClaim(1, 3), routerClaim(1, 9), routerClaim(1, 9)]);
      expect(postings.map(({ promptTokens, completionTokens }) => [promptTokens, completionTokens])).toEqual([
        [10, 4],
        [0, 0],
        [0, 5],
        [0, 0],
      ]);
      const [row] = await ledger.usage({ by: [] });
      expect(row).toEqual({ requests: 1, promptTokens: 10, cachedTokens: 1, completionTokens: 9 });
    });

    it("takes key and model from the router's claim, in either order", async () => {
      const { ledger } = store();
      await ledger.post([nodeClaim(1, 4), routerClaim(1, 4), routerClaim(3, 4), nodeClaim(3, 4)]);
      const rows = await ledger.usage({ by: ["tenant", "model", "key"] });
      expect(rows).toEqual([
        { tenantId: "acme", model: "model-1", keyId: "key-0", requests: 1, promptTokens: 10, cachedTokens: 3, completionTokens: 4 },
        { tenantId: "acme", model: "model-1", keyId: "key-1", requests: 1, promptTokens: 10, cachedTokens: 1, completionTokens: 4 },
      ]);
    });

    it("sums by each dimension, for one tenant, within a time", async () => {
      const { ledger } = store();
      await ledger.post([0, 1, 2, 3].map((request) => routerClaim(request, 1)));
      const requests = async (query: Parameters<typeof ledger.usage>[0]) =>
        (await ledger.usage(query)).map((row) => [row.tenantId ?? row.model ?? row.keyId ?? row.day, row.requests]);
      expect(await requests({ by: ["tenant"] })).toEqual([
        ["acme", 2],
        ["zeta", 2],
      ]);
      expect(await requests({ by: ["day"] })).toEqual([
        ["1970-01-01", 2],
        ["1970-01-02", 1],
        ["1970-01-03", 1],
      ]);
      expect(await requests({ by: ["model"], tenantId: asTenantId("acme") })).toEqual([["model-1", 2]]);
      expect(await requests({ by: ["key"], since: DAY_MS, until: 3 * DAY_MS })).toEqual([
        ["key-1", 1],
        ["key-2", 1],
      ]);
      expect(await ledger.usage({ by: [], tenantId: asTenantId("nobody") })).toEqual([]);
      expect(await ledger.usage({ by: [], since: DAY_MS + 5, until: DAY_MS + 6 })).toMatchObject([{ requests: 1 }]);
    });

    it("refuses an impossible count, and with it the whole batch", async () => {
      const { ledger } = store();
      for (const completionTokens of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
        const bad = routerClaim(2, 1, { usage: { promptTokens: 1, cachedTokens: 0, completionTokens } });
        await expect(ledger.post([routerClaim(1, 1), bad])).rejects.toMatchObject({ detail: { field: "completionTokens" } });
      }
      expect(await ledger.usage({ by: [] })).toEqual([]);
    });

    it("knows after it was closed and opened again what it knew before", async () => {
      await store().ledger.post([routerClaim(1, 7)]);
      const before = await store().ledger.usage({ by: ["tenant", "model", "key", "day"] });
      await reopen();
      expect(await store().ledger.usage({ by: ["tenant", "model", "key", "day"] })).toEqual(before);
      expect(await store().ledger.post([routerClaim(1, 7)])).toMatchObject([{ completionTokens: 0 }]);
    });

    it("comes to the same sums whatever the order, the batches and the repetitions of the claims", async () => {
      const claim = fc
        .tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 50 }), fc.boolean())
        .map(([request, tokens, router]) => (router ? routerClaim(request, tokens) : nodeClaim(request, tokens)));
      const history = fc.array(claim, { minLength: 1, maxLength: 20 }).chain((claims) =>
        fc.record({
          claims: fc.constant(claims),
          again: fc.shuffledSubarray([...claims, ...claims], { minLength: claims.length * 2 }),
          batch: fc.integer({ min: 1, max: 7 }),
        }),
      );
      await fc.assert(
        fc.asyncProperty(history, async ({ claims, again, batch }) => {
          expect(await sumsOf(fresh, again, batch)).toEqual(await sumsOf(fresh, claims, claims.length));
        }),
        { numRuns: 40 },
      );
    });
  });
}

/** The sums of a fresh ledger after these claims; along the way, the postings must come to the same sums. */
async function sumsOf(fresh: Parameters<typeof describeStateStore>[1], claims: readonly Claim[], batch: number) {
  const place = await fresh();
  try {
    await using store = await place.open();
    let posted = 0;
    for (let at = 0; at < claims.length; at += batch) {
      const postings = await store.ledger.post(claims.slice(at, at + batch));
      posted += postings.reduce((sum, { completionTokens }) => sum + completionTokens, 0);
    }
    const [total] = await store.ledger.usage({ by: [] });
    expect(posted).toBe(total?.completionTokens);
    return await store.ledger.usage({ by: ["tenant", "model", "key", "day"] });
  } finally {
    await place.remove();
  }
}
