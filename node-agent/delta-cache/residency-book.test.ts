import { describe, expect, it } from "vitest";
import { asBaseDigest, asDeltaDigest, asTenantId, type Tier } from "#kernel";
import type { TierEvent } from "./contract.ts";
import { ResidencyBook } from "./residency-book.ts";

const reference = { digest: asDeltaDigest("d"), tenantId: asTenantId("acme"), baseDigest: asBaseDigest("b") };

function told(book: ResidencyBook, tier: Tier, kind: TierEvent["kind"], more = {}) {
  book.observe({ tier, reference, kind, ...more } as TierEvent);
}

describe("the residency book", () => {
  it("lists a delta under the fastest tier where it is ready", () => {
    const book = new ResidencyBook();
    const shown = () => book.all().get(reference.digest);
    told(book, "disk", "loading");
    expect(shown()).toMatchObject({ tier: "disk", state: "loading" });
    told(book, "disk", "ready", { size: 500, loadMs: 1 });
    expect(shown()).toMatchObject({ tier: "disk", state: "ready", sizeBytes: 500, rank: 0 });
    told(book, "ram", "loading");
    expect(shown()).toMatchObject({ tier: "disk", state: "ready" });
    book.learn(reference.digest, { rank: 8, sizeBytes: 1000 });
    told(book, "ram", "ready", { size: 1000, loadMs: 1 });
    told(book, "slot", "ready", { size: 8, loadMs: 1 });
    told(book, "slot", "references", { references: 2 });
    expect(shown()).toMatchObject({ tier: "slot", state: "ready", references: 2, rank: 8, sizeBytes: 1000 });
    told(book, "slot", "evicting");
    expect(shown()).toMatchObject({ tier: "ram", state: "ready" });
  });

  it("forgets what is on no tier any more", () => {
    const book = new ResidencyBook();
    told(book, "disk", "ready", { size: 1, loadMs: 0 });
    told(book, "disk", "evicting");
    told(book, "disk", "gone");
    told(book, "ram", "miss");
    expect(book.all().size).toBe(0);
  });

  it("gives each reader what changed since its last look, once, and wakes it", () => {
    const book = new ResidencyBook();
    let woken = 0;
    const feed = book.follow(() => {
      woken += 1;
    });
    told(book, "disk", "loading");
    told(book, "disk", "ready", { size: 1, loadMs: 0 });
    expect(woken).toBe(2);
    expect([...feed.take().changed.values()]).toMatchObject([{ tier: "disk", state: "ready" }]);
    expect(feed.take()).toEqual({ changed: new Map(), removed: [] });
    book.setPinned(reference.digest, true);
    expect([...feed.take().changed.values()]).toMatchObject([{ pinned: true }]);
    told(book, "disk", "gone");
    expect(feed.take().removed).toEqual([reference.digest]);
    feed.close();
    told(book, "disk", "loading");
    expect(feed.pending).toBe(false);
  });
});
