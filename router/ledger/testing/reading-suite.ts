import { describe, expect, it } from "vitest";
import { asKeyId, asProjectId, asTenantId, type Claim, HOUR, MINUTE } from "#kernel";
import type { StateStore } from "#state";
import type { UsageDimension } from "../contract.ts";
import { accountsOf, chargesOf, claimOf, ledgerOver, NOON, ROUTER, recountOf } from "./fixture.ts";

const ACME = asTenantId("acme");

export function describeReading(openStore: () => Promise<StateStore>): void {
  describe("reading", () => {
    it("sums usage by any dimension, and within any minutes", async () => {
      await using store = await openStore();
      const { ledger } = ledgerOver(store.journal);
      const more: readonly Partial<Claim>[] = [
        { ...ROUTER },
        { ...ROUTER, keyId: asKeyId("fedcba9876543210"), projectId: asProjectId("research"), admittedAt: NOON + 30_000 },
        { ...ROUTER, model: "cheap", baseName: "cheap", admittedAt: NOON + HOUR },
        { ...ROUTER, priceVersion: 2, admittedAt: NOON + 24 * HOUR },
        { ...ROUTER, tenantId: asTenantId("zen"), admittedAt: NOON + MINUTE },
      ];
      await ledger.post(
        more.map((attributes, index) => claimOf(`r${index}`, { promptTokens: 2, completionTokens: index + 1 }, attributes)),
      );
      const by = async (...dimensions: UsageDimension[]) =>
        (await ledger.usage({ by: dimensions })).map(({ tenantId, projectId, keyId, model, base, priceVersion, start, ...sums }) => [
          ...[tenantId, projectId, keyId, model, base, priceVersion, start].filter((value) => value !== undefined),
          ...[sums.requests, sums.completionTokens],
        ]);
      expect(await by()).toEqual([[5, 15]]);
      expect(await by("tenant")).toEqual([
        ["acme", 4, 10],
        ["zen", 1, 5],
      ]);
      expect(await by("project")).toEqual([
        ["default", 4, 13],
        ["research", 1, 2],
      ]);
      expect(await by("key", "price")).toEqual([
        ["0123456789abcdef", 1, 3, 9],
        ["0123456789abcdef", 2, 1, 4],
        ["fedcba9876543210", 1, 1, 2],
      ]);
      expect(await by("base", "model")).toEqual([
        ["cheap", "cheap", 1, 3],
        ["acme/support", "demo-base", 4, 12],
      ]);
      expect(await by("day")).toEqual([
        [NOON - 12 * HOUR, 4, 11],
        [NOON + 12 * HOUR, 1, 4],
      ]);
      expect(await by("hour", "tenant")).toEqual([
        ["acme", NOON, 2, 3],
        ["zen", NOON, 1, 5],
        ["acme", NOON + HOUR, 1, 3],
        ["acme", NOON + 24 * HOUR, 1, 4],
      ]);
      expect(await by("minute", "tenant")).toHaveLength(4);
      expect(await ledger.usage({ by: [], since: NOON + 59_000, until: NOON + HOUR + 59_000 })).toMatchObject([
        { requests: 3, completionTokens: 8 },
      ]);
      expect(await ledger.usage({ by: [], tenantId: ACME, since: NOON + HOUR })).toMatchObject([
        { requests: 2, promptTokens: 4, amount: 3n * 3n + 2n + 2n * 1_000n + 4n * 4_000n },
      ]);
      expect(await ledger.usage({ by: ["tenant"], tenantId: asTenantId("nobody") })).toEqual([]);
      await expect(ledger.usage({ by: ["day", "hour"] })).rejects.toMatchObject({ reason: "parameter_invalid" });
    });

    it("moves what a node told to where it belongs once the router tells whose it was", async () => {
      await using store = await openStore();
      const { ledger } = ledgerOver(store.journal);
      await ledger.post([claimOf("r", { promptTokens: 3, completionTokens: 16 })]);
      expect(await ledger.usage({ by: ["key", "model"] })).toMatchObject([{ requests: 1, completionTokens: 16 }]);
      await ledger.post([claimOf("r", { promptTokens: 3, completionTokens: 12 }, ROUTER)]);
      const rows = await ledger.usage({ by: ["project", "key", "model"] });
      expect(rows).toEqual([
        { ...ROUTER, requests: 1, promptTokens: 3, cachedTokens: 0, completionTokens: 16, trainedTokens: 0, amount: 6_700n },
      ]);
      expect((await recountOf(store.journal, ACME)).differences).toEqual([]);
    });

    it("tells each charge once, as it stands, in the order of first posting, within the time of admission", async () => {
      await using store = await openStore();
      let now = NOON;
      const { ledger } = ledgerOver(store.journal, { now: () => now });
      const ids = Array.from({ length: 600 }, (_, index) => `r${index}`);
      for (const [index, id] of ids.entries()) {
        now = NOON + index * 10 * MINUTE;
        await ledger.post([claimOf(id, { completionTokens: 1 }, { admittedAt: now })]);
      }
      await ledger.post(
        ids.map((id, index) => claimOf(id, { completionTokens: 2 }, { ...ROUTER, outcome: "completed", admittedAt: NOON + index })),
      );
      const charges = await chargesOf(ledger, ACME);
      expect(charges.map(({ requestId }) => requestId)).toEqual(ids);
      expect(new Set(charges.map(({ completionTokens, outcome, keyId }) => `${completionTokens} ${outcome} ${keyId}`))).toEqual(
        new Set(["2 completed 0123456789abcdef"]),
      );
      const some = await chargesOf(ledger, ACME, NOON + 500 * 10 * MINUTE, NOON + 510 * 10 * MINUTE);
      expect(some.map(({ requestId }) => requestId)).toEqual(ids.slice(500, 510));
      expect(await chargesOf(ledger, asTenantId("nobody"))).toEqual([]);
    });
  });

  describe("correcting", () => {
    it("adds an entry that takes back, once per id, beside what it corrects (B9)", async () => {
      await using store = await openStore();
      const { ledger } = ledgerOver(store.journal);
      await ledger.post([claimOf("r", { completionTokens: 10 }, { admittedAt: Date.UTC(2026, 9, 31) })]);
      const refund = { id: "refund-1", tenantId: ACME, requestId: "r", amount: -1_500n, reason: "cut off in the middle" };
      const position = await ledger.correct(refund);
      expect(await ledger.correct(refund)).toBe(position);
      await expect(ledger.correct({ ...refund, amount: -1_501n })).rejects.toMatchObject({ reason: "resource_exists" });
      await ledger.correct({ id: "fee", tenantId: ACME, amount: 200n, reason: "set-up" });

      expect(await ledger.corrections(ACME, NOON, NOON + 1)).toEqual([
        { ...refund, position, postedAt: NOON },
        { id: "fee", tenantId: ACME, amount: 200n, reason: "set-up", position: position + 1, postedAt: NOON },
      ]);
      expect(await ledger.corrections(ACME, 0, NOON)).toEqual([]);
      // What was charged stays as it was; what is owed and spent does not. Spent counts in the month of the correction.
      expect(await chargesOf(ledger, ACME)).toMatchObject([{ amount: 4_000n }]);
      expect(await accountsOf(store.journal, ACME)).toEqual(
        new Map([
          ["adjustments", 1_300n],
          ["receivable:acme", 2_700n],
          ["revenue:demo-base", -4_000n],
        ]),
      );
      const [spent] = await store.journal.counters(ACME, ["spent"]);
      expect(spent).toEqual(
        new Map([
          ["2026-10", 4_000n],
          ["2026-11", -1_300n],
          ["ever", 2_700n],
        ]),
      );
      expect(await recountOf(store.journal, ACME)).toMatchObject({ differences: [], corrections: 2, nanoUsd: 2_700n });
    });

    it("refuses what makes no sense, naming the field", async () => {
      await using store = await openStore();
      const { ledger } = ledgerOver(store.journal);
      const good = { id: "c", tenantId: ACME, amount: 1n, reason: "because" };
      const wrong = {
        id: { ...good, id: "" },
        tenant_id: { ...good, tenantId: asTenantId("_cluster") },
        request_id: { ...good, requestId: "never-charged" },
        amount_usd: { ...good, amount: 0n },
        reason: { ...good, reason: " " },
      };
      for (const [field, correction] of Object.entries(wrong))
        await expect(ledger.correct(correction), field).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field } });
      expect(await ledger.tenants()).toEqual([]);
    });
  });
}
