import { describe, expect, it } from "vitest";
import { assert, InvariantError } from "./assert.ts";
import { Fault, isFault, toFault } from "./fault.ts";
import { FAULTS, type FaultReason } from "./fault-catalogue.ts";

describe("a fault", () => {
  it.each(Object.keys(FAULTS) as FaultReason[])("%s has the code and the advice of the catalogue", (reason) => {
    const fault = new Fault(reason, "text");
    expect([fault.code, fault.retry]).toEqual([FAULTS[reason].code, FAULTS[reason].retry]);
    expect(FAULTS[reason].meaning).toMatch(/^[A-Z].*\.$/);
    expect(FAULTS[reason].http).toBeGreaterThanOrEqual(400);
  });

  it("may carry other advice, a detail and a cause", () => {
    const cause = new Error("inside");
    const fault = new Fault("queue_full", "x", { retry: { kind: "never" }, detail: { field: "n" }, cause });
    expect(fault).toMatchObject({ retry: { kind: "never" }, detail: { field: "n" }, cause });
    expect(isFault(fault)).toBe(true);
    expect(isFault(fault, "queue_full")).toBe(true);
    expect(isFault(fault, "bug")).toBe(false);
    expect(isFault({ reason: "queue_full" })).toBe(false);
  });

  it("is made of anything that is thrown, and says nothing of its insides", () => {
    const fault = new Fault("queue_full", "x");
    expect(toFault(fault)).toBe(fault);
    for (const thrown of [new Error("secret"), "secret", undefined, null, { secret: 1 }]) {
      const made = toFault(thrown);
      expect([made.reason, made.message, made.cause]).toEqual(["bug", "internal error", thrown]);
    }
  });
});

describe("assert", () => {
  it("throws what is no fault, for nothing may go on from it", () => {
    expect(() => assert(0 > 1, "0 > 1")).toThrow(InvariantError);
    expect(() => assert(1 > 0, "1 > 0")).not.toThrow();
  });
});
