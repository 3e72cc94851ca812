import { describe, expect, it } from "vitest";
import { Account } from "./account.ts";

const ANSWER = { kind: "taken", meters: [], budgetLeft: undefined } as const;
const BUCKET = { limit: 10, windowMs: 1000 };

describe("an account in memory", () => {
  it("ends each take and each hold at its own time, whatever the order in which they came", () => {
    const account = new Account();
    for (const [id, endsAt] of [["late", 300] as const, ["early", 100] as const, ["middle", 200] as const]) {
      account.begin(id, { draws: [], answer: ANSWER, endsAt });
      account.hold(id, { amount: BigInt(endsAt), endsAt });
    }
    const present = (now: number) => {
      account.expire(now);
      return { takes: [...account.takes.keys()].sort(), held: account.held };
    };
    expect(present(99)).toEqual({ takes: ["early", "late", "middle"], held: 600n });
    expect(present(100)).toEqual({ takes: ["late", "middle"], held: 500n });
    account.takes.delete("late");
    expect(present(250)).toEqual({ takes: [], held: 300n });
    expect(present(300)).toEqual({ takes: [], held: 0n });
  });

  it("forgets a bucket once that cannot be told from a full one, and then says that nothing is left", () => {
    const account = new Account();
    account.setLevel("tokens", BUCKET, { tokens: 5, at: 0 });
    account.hold("one", { amount: 1n, endsAt: 5000 });
    expect(account.shrink(1499)).toBe(false);
    expect(account.shrink(1500)).toBe(false);
    expect(account.level("tokens", { limit: 20, windowMs: 1000 }, 1500).tokens).toBe(20);
    account.endHold("one");
    expect(account.shrink(1500)).toBe(true);
  });
});
