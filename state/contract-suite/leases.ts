import { describe, expect, it } from "vitest";
import { SECOND } from "#kernel";
import type { Lease, StateStore } from "../contract.ts";
import type { OpenStore } from "../contract-suite.ts";
import { DURATION_MS_MAX } from "../limits.ts";

const TERM_MS = 10 * SECOND;

/** A store, or something that has leases and nothing else. */
type OpenLeases = Omit<OpenStore, "store"> & { readonly store: Pick<StateStore, "leases"> };

/** At most one holder of a name at a time. */
export function describeLeases(open: OpenLeases): void {
  describe("a lease", () => {
    const acquire = (holder: string, name = "scheduler"): Promise<Lease> => open.store.leases.acquire(name, holder, TERM_MS);
    const epochOf = async (lease: Promise<Lease>): Promise<number> => {
      const got = await lease;
      if (got.kind !== "held") throw new Error(`held by ${got.holder}`);
      return got.epoch;
    };

    it("has one holder; others are told who, and for how long still", async () => {
      expect(await acquire("one")).toEqual({ kind: "held", epoch: 1 });
      await open.clock.advance(3 * SECOND);
      expect(await acquire("two")).toEqual({ kind: "taken", holder: "one", leftMs: 7 * SECOND });
      expect(await acquire("two", "another name")).toEqual({ kind: "held", epoch: 1 });
    });

    it("is renewed by its holder, for a whole term and with the same epoch", async () => {
      const epoch = await epochOf(acquire("one"));
      for (let renewal = 0; renewal < 5; renewal++) {
        await open.clock.advance(TERM_MS - 1);
        expect(await acquire("one")).toEqual({ kind: "held", epoch });
      }
      expect(await acquire("two")).toEqual({ kind: "taken", holder: "one", leftMs: TERM_MS });
    });

    it("runs out by the store's time", async () => {
      const epoch = await epochOf(acquire("one"));
      await open.clock.advance(TERM_MS - 1);
      expect(await acquire("two")).toEqual({ kind: "taken", holder: "one", leftMs: 1 });
      await open.clock.advance(1);
      expect(await acquire("two")).toEqual({ kind: "held", epoch: epoch + 1 });
      expect(await acquire("one")).toMatchObject({ kind: "taken", holder: "two" });
    });

    it("is free at once when its holder gives it back, and only then", async () => {
      const { leases } = open.store;
      const epoch = await epochOf(acquire("one"));
      await leases.release("scheduler", "two");
      expect(await acquire("two")).toMatchObject({ kind: "taken", holder: "one" });
      await leases.release("scheduler", "one");
      await leases.release("scheduler", "one");
      expect(await acquire("two")).toEqual({ kind: "held", epoch: epoch + 1 });
      await leases.release("scheduler", "one");
      expect(await acquire("three")).toMatchObject({ kind: "taken", holder: "two" });
    });

    it("has a new epoch for whoever takes it anew, also when nobody held it between", async () => {
      const first = await epochOf(acquire("one"));
      await open.clock.advance(TERM_MS);
      const second = await epochOf(acquire("one"));
      await open.store.leases.release("scheduler", "one");
      const third = await epochOf(acquire("one"));
      expect([second, third]).toEqual([first + 1, first + 2]);
    });

    it("goes on, holder and epoch, when the store is closed and opened again", async () => {
      const first = await epochOf(acquire("one"));
      await open.reopen();
      expect(await acquire("two")).toEqual({ kind: "taken", holder: "one", leftMs: TERM_MS });
      await open.clock.advance(400 * 24 * 3_600 * SECOND);
      await open.reopen();
      expect(await acquire("two")).toEqual({ kind: "held", epoch: first + 1 });
    });

    it("goes to one of many who ask at once", async () => {
      const leases = await Promise.all(Array.from({ length: 20 }, (_, holder) => acquire(`holder ${holder}`)));
      expect(leases.filter(({ kind }) => kind === "held")).toHaveLength(1);
    });

    it("refuses what is no lease, and names the field", async () => {
      const { leases } = open.store;
      await expect(leases.acquire("", "one", TERM_MS)).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field: "name" } });
      await expect(leases.acquire("scheduler", "", TERM_MS)).rejects.toMatchObject({ detail: { field: "holder" } });
      for (const termMs of [0, -1, 0.5, Number.NaN, DURATION_MS_MAX + 1])
        await expect(leases.acquire("scheduler", "one", termMs)).rejects.toMatchObject({ detail: { field: "termMs" } });
      await expect(leases.release("scheduler", "")).rejects.toMatchObject({ detail: { field: "holder" } });
    });
  });
}
