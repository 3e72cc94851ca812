import { describe, expect, it } from "vitest";
import { asDeltaDigest, Fault, SECOND, VirtualClock } from "#kernel";
import { createFailureMemory } from "./failure-memory.ts";

const delta = asDeltaDigest("d");

describe("the memory of failed loads", () => {
  it("answers with the delta's own fault for a minute when its content is bad", async () => {
    const clock = new VirtualClock();
    const memory = createFailureMemory(clock);
    memory.note(delta, new Fault("weights_not_finite", "NaN in q", { detail: { file: "adapter_model.safetensors" } }));
    await clock.advance(59 * SECOND);
    expect(() => memory.check(delta)).toThrow(
      expect.objectContaining({ reason: "weights_not_finite", detail: { file: "adapter_model.safetensors" } }),
    );
    await clock.advance(SECOND);
    expect(() => memory.check(delta)).not.toThrow();
  });

  it("says for two seconds that it is unavailable when the origin could not be reached, and how long to wait", async () => {
    const clock = new VirtualClock();
    const memory = createFailureMemory(clock);
    memory.note(delta, new Fault("node_lost", "no route"));
    await clock.advance(500);
    expect(() => memory.check(delta)).toThrow(
      expect.objectContaining({ reason: "delta_unavailable", retry: { kind: "after", waitMs: 1500 } }),
    );
    await clock.advance(1500);
    expect(() => memory.check(delta)).not.toThrow();
  });

  it("remembers nothing that says nothing about the delta", () => {
    const memory = createFailureMemory(new VirtualClock());
    for (const error of [new Fault("capacity_exhausted", "full"), new Fault("engine_lost", "gone"), new Error("left")])
      memory.note(delta, error);
    expect(() => memory.check(delta)).not.toThrow();
  });
});
