import { describe, expect, it } from "vitest";
import { asTenantId, Fault, seededRandom, systemClock } from "#kernel";
import type { StateStore } from "#state";
import { spentCounter } from "../contract.ts";
import { createLedger } from "../ledger.ts";
import {
  accountsOf,
  chargesOf,
  claimOf,
  journalWith,
  ledgerOver,
  losingReplies,
  NOON,
  postUntilDone,
  ROUTER,
  recountOf,
} from "./fixture.ts";

const ACME = asTenantId("acme");
const PROMPT = { promptTokens: 10, cachedTokens: 4 };
/** 6 computed, 4 cached and so many new tokens, by price list 1. */
const priced = (completionTokens: number) => BigInt(6 * 100 + 4 * 25 + completionTokens * 400);

export function describePosting(openStore: () => Promise<StateStore>): void {
  describe("posting", () => {
    it("charges a request once, however many attempts it took and whoever tells of them (B2, B6)", async () => {
      await using store = await openStore();
      const { ledger } = ledgerOver(store.journal);
      // The first node dies after 12 tokens; the second goes on from there to 30. Nodes count for themselves.
      const story = [
        claimOf("r", { ...PROMPT, completionTokens: 8 }, ROUTER),
        claimOf("r", { ...PROMPT, completionTokens: 12 }, { outcome: "failed" }),
        claimOf("r", { promptTokens: 10, completionTokens: 20 }, { ...ROUTER, attempt: 2 }),
        claimOf("r", { ...PROMPT, completionTokens: 30 }, { attempt: 2, outcome: "completed" }),
        claimOf("r", { ...PROMPT, completionTokens: 30 }, { ...ROUTER, attempt: 2, outcome: "completed" }),
      ];
      for (const claim of story) await ledger.post([claim]);
      const once = await chargesOf(ledger, ACME);
      expect(once).toMatchObject([{ ...PROMPT, completionTokens: 30, outcome: "completed", amount: priced(30) }]);

      // The whole log again, twice: not a line more.
      const [before] = await store.journal.read([{ book: ACME, keys: [] }]);
      await ledger.post(story);
      await ledger.post(story.toReversed());
      const [after] = await store.journal.read([{ book: ACME, keys: [] }]);
      expect(after).toEqual(before);
      expect(await chargesOf(ledger, ACME)).toEqual(once);
    });

    it("ignores late progress, and counts it (B12)", async () => {
      await using store = await openStore();
      const { ledger, counts } = ledgerOver(store.journal);
      await ledger.post([claimOf("r", { completionTokens: 30 }, { ...ROUTER, outcome: "completed" })]);
      await ledger.post([claimOf("r", { completionTokens: 16 }, ROUTER), claimOf("r", { completionTokens: 30 })]);
      expect(counts).toMatchObject({ entries: 1, late: 2 });
      expect(await chargesOf(ledger, ACME)).toMatchObject([{ completionTokens: 30, outcome: "completed" }]);
    });

    it("prices by the version at admission, whatever comes later (B13), and knows free requests", async () => {
      await using store = await openStore();
      const { ledger } = ledgerOver(store.journal);
      await ledger.post([claimOf("r", { completionTokens: 10 }, { priceVersion: 1 })]);
      await ledger.post([claimOf("r", { completionTokens: 20 }, { priceVersion: 2 })]);
      await ledger.post([claimOf("free", { completionTokens: 20 }, { priceVersion: 0 })]);
      await ledger.post([claimOf("c", { promptTokens: 5, completionTokens: 20 }, { baseName: "cheap" })]);
      expect(await chargesOf(ledger, ACME)).toMatchObject([
        { requestId: "r", priceVersion: 1, completionTokens: 20, amount: 8_000n },
        { requestId: "free", amount: 0n },
        { requestId: "c", amount: 65n },
      ]);
      expect((await recountOf(store.journal, ACME)).differences).toEqual([]);
    });

    it("charges trained tokens once, however often a job's progress is told and in whatever order (B15)", async () => {
      await using store = await openStore();
      const { ledger } = ledgerOver(store.journal);
      const told = [900, 300, 1_200, 1_200, 600].map((trainedTokens) => claimOf("ftjob-1", { trainedTokens }, ROUTER));
      for (const claim of told) await ledger.post([claim]);
      await ledger.post([claimOf("ftjob-1", { trainedTokens: 1_200 }, { ...ROUTER, outcome: "cancelled" })]);
      expect(await chargesOf(ledger, ACME)).toMatchObject([{ trainedTokens: 1_200, outcome: "cancelled", amount: BigInt(1_200 * 300) }]);
      expect(await ledger.usage({ by: [] })).toMatchObject([{ requests: 1, trainedTokens: 1_200, completionTokens: 0, amount: 360_000n }]);
      expect((await recountOf(store.journal, ACME)).differences).toEqual([]);
    });

    it("takes back what prompt tokens cost too much once they turn out to be cached, as an entry of its own", async () => {
      await using store = await openStore();
      const { ledger } = ledgerOver(store.journal);
      await ledger.post([claimOf("r", { promptTokens: 10 })]);
      await ledger.post([claimOf("r", { promptTokens: 10, cachedTokens: 4 })]);
      expect(await chargesOf(ledger, ACME)).toMatchObject([{ ...PROMPT, amount: priced(0) }]);
      expect(await accountsOf(store.journal, ACME)).toEqual(
        new Map([
          ["receivable:acme", priced(0)],
          ["revenue:demo-base", -priced(0)],
        ]),
      );
      expect((await recountOf(store.journal, ACME)).differences).toEqual([]);
    });

    it("says what is spent: in the month of admission, and ever", async () => {
      await using store = await openStore();
      const { ledger } = ledgerOver(store.journal);
      const newYear = Date.UTC(2027, 0, 1);
      await ledger.post([claimOf("old", { completionTokens: 1 }, { admittedAt: newYear - 1 })]);
      await ledger.post([claimOf("new", { completionTokens: 2 }, { admittedAt: newYear })]);
      const [spent] = await store.journal.counters(ACME, ["spent"]);
      const told = [spentCounter("month", newYear - 1), spentCounter("month", newYear), spentCounter("ever", 0)];
      expect(told.map(({ name }) => spent!.get(name))).toEqual([400n, 800n, 1_200n]);
    });

    it("ends a hold with the router's last claim, also when a node's came first, and not before", async () => {
      await using store = await openStore();
      const { ledger } = ledgerOver(store.journal);
      const hold = { amount: 10_000n, budget: 100_000n, spent: spentCounter("ever", 0) };
      await store.meters.take({ account: ACME, id: "r", draws: [], lifeMs: 60_000, hold });
      await store.meters.settle(ACME, "r", {}, "stays");
      const held = async () => (await store.meters.live(ACME)).held;
      await ledger.post([claimOf("r", { completionTokens: 3 }, ROUTER)]);
      await ledger.post([claimOf("r", { completionTokens: 5 }, { outcome: "completed" })]);
      expect(await held()).toBe(10_000n);
      await ledger.post([claimOf("r", { completionTokens: 5 }, { ...ROUTER, outcome: "completed" })]);
      expect(await held()).toBe(0n);
      expect((await recountOf(store.journal, ACME)).differences).toEqual([]);
    });

    it("refuses counts that can't be and versions that don't exist, with all of their batch", async () => {
      await using store = await openStore();
      const { ledger } = ledgerOver(store.journal);
      const good = claimOf("good", { completionTokens: 1 });
      const bad = {
        completionTokens: claimOf("bad", { completionTokens: -1 }),
        promptTokens: claimOf("bad", { promptTokens: 0.5 }),
        cachedTokens: claimOf("bad", { promptTokens: 1, cachedTokens: 2 }),
        priceVersion: claimOf("bad", {}, { priceVersion: 7 }),
        admittedAt: claimOf("bad", {}, { admittedAt: Number.NaN }),
        tenantId: claimOf("bad", {}, { tenantId: asTenantId("_cluster") }),
        requestId: claimOf("", {}),
      };
      for (const [field, claim] of Object.entries(bad)) {
        const refused = await ledger.post([good, claim]).catch((error: unknown) => error);
        expect(refused, field).toMatchObject({ reason: "parameter_invalid", detail: { field }, retry: { kind: "never" } });
      }
      expect(await ledger.tenants()).toEqual([]);
    });

    it("does not refuse a claim for good when nobody can say whether its price version exists", async () => {
      await using store = await openStore();
      const price = async () => {
        throw new Fault("store_unreachable", "the store is away");
      };
      const ledger = createLedger({ journal: store.journal, meters: store.meters, clock: systemClock, random: seededRandom(1), price });
      await expect(ledger.post([claimOf("r", {})])).rejects.toMatchObject({ reason: "store_unreachable", retry: { kind: "after" } });
    });

    it("posts once when replies of the store are lost, for many tenants at once", async () => {
      await using store = await openStore();
      const random = seededRandom(7);
      const { ledger } = ledgerOver(losingReplies(store.journal, random, 0.5));
      const tenants = Array.from({ length: 20 }, (_, index) => asTenantId(`tenant-${index}`));
      const claims = tenants.flatMap((tenantId) =>
        [4, 16, 32].map((completionTokens) => claimOf(`${tenantId}-r`, { completionTokens }, { ...ROUTER, tenantId })),
      );
      await Promise.all([0, 1, 2].map((third) => postUntilDone(ledger, claims.slice(third * 20, third * 20 + 20))));
      const rows = await ledgerOver(store.journal).ledger.usage({ by: ["tenant"] });
      expect(rows.map(({ requests, completionTokens, amount }) => ({ requests, completionTokens, amount }))).toEqual(
        tenants.map(() => ({ requests: 1, completionTokens: 32, amount: 12_800n })),
      );
      for (const tenant of tenants) expect((await recountOf(store.journal, tenant)).differences).toEqual([]);
    });

    it("asks to be tried again when others keep writing first", async () => {
      await using store = await openStore();
      const busy = journalWith(store.journal, { commit: async (changes) => changes.map(() => ({ kind: "conflict" })) });
      const { ledger, counts } = ledgerOver(busy);
      await expect(ledger.post([claimOf("r", {})])).rejects.toMatchObject({ reason: "version_conflict", retry: { kind: "at_once" } });
      expect(counts.conflicts).toBeGreaterThan(5);
    });

    it("does not let one book that the store refuses take the others with it", async () => {
      await using store = await openStore();
      const refusing = journalWith(store.journal, {
        commit: async (changes) => {
          if (changes.some(({ book }) => book === "full")) throw new Fault("parameter_invalid", "a counter is full");
          return store.journal.commit(changes);
        },
      });
      const { ledger } = ledgerOver(refusing);
      const posts = ["acme", "full", "zen"].map((tenant) => ledger.post([claimOf(`${tenant}-r`, {}, { tenantId: asTenantId(tenant) })]));
      expect((await Promise.allSettled(posts)).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
      expect(await ledger.tenants()).toEqual(["acme", "zen"]);
    });

    it("bills the same when a clock jumps by an hour, back and forth (B14)", async () => {
      await using store = await openStore();
      let now = NOON;
      const { ledger } = ledgerOver(store.journal, { now: () => now });
      for (const [request, jumpMs] of [3_600_000, -7_200_000, 3_600_000].entries()) {
        now += jumpMs;
        await ledger.post([claimOf(`r${request}`, { completionTokens: 1 }, { admittedAt: NOON })]);
      }
      expect(await chargesOf(ledger, ACME, NOON, NOON + 1)).toHaveLength(3);
      expect(await ledger.usage({ by: [] })).toMatchObject([{ requests: 3, amount: 1_200n }]);
    });

    it("takes a batch that is larger than a round, of one tenant", async () => {
      await using store = await openStore();
      const { ledger, counts } = ledgerOver(store.journal);
      await ledger.post(Array.from({ length: 1_000 }, (_, index) => claimOf(`r${index}`, { completionTokens: 1 })));
      expect(counts.entries).toBe(1_000);
      expect(await ledger.usage({ by: [] })).toMatchObject([{ requests: 1_000, amount: 400_000n }]);
      expect(await recountOf(store.journal, ACME)).toMatchObject({ differences: [], requests: 1_000, lines: 2_000 });
    });
  });
}
