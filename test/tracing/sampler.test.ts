import { ROOT_CONTEXT, SpanKind, TraceFlags, trace } from "@opentelemetry/api";
import { SamplingDecision } from "@opentelemetry/sdk-trace";
import { describe, expect, test } from "vitest";
import { seededRandom } from "#kernel";
import { samplerOf } from "../../cli/tracing/sampler.ts";

const random = seededRandom(11);
const newTraceId = () => (random.bits().toString(16).padStart(16, "0") + random.bits().toString(16).padStart(16, "0")).slice(0, 32);

function share(ratio: number, decides: boolean, parent: "none" | "sampled" | "unsampled"): number {
  const sampler = samplerOf(ratio, decides);
  let sampled = 0;
  for (let count = 0; count < 2000; count++) {
    const traceId = newTraceId();
    const traceFlags = parent === "sampled" ? TraceFlags.SAMPLED : TraceFlags.NONE;
    const context =
      parent === "none"
        ? ROOT_CONTEXT
        : trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId: "1".repeat(16), traceFlags, isRemote: true });
    if (sampler.shouldSample(context, traceId, "x", SpanKind.SERVER, {}, []).decision === SamplingDecision.RECORD_AND_SAMPLED) sampled++;
  }
  return sampled / 2000;
}

describe("at the door", () => {
  test("a share of the requests is traced, also of those whose callers want all of theirs to be", () => {
    for (const parent of ["none", "sampled"] as const) {
      expect(share(0, true, parent)).toBe(0);
      expect(share(1, true, parent)).toBe(1);
      const tenth = share(0.1, true, parent);
      expect(tenth).toBeGreaterThan(0.06);
      expect(tenth).toBeLessThan(0.15);
    }
  });

  test("who does not want to be traced is not", () => {
    expect(share(1, true, "unsampled")).toBe(0);
  });
});

test("behind the door it is as was decided there, and what nobody decided is not traced", () => {
  expect([share(0, false, "sampled"), share(1, false, "unsampled"), share(1, false, "none")]).toEqual([1, 0, 0]);
});
