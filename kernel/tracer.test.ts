import fc from "fast-check";
import { expect, test } from "vitest";
import { NO_TRACER, parseTraceparent, traceparentOf } from "./tracer.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

test("a traceparent is read, and said again the same", () => {
  for (const flags of ["00", "01"]) {
    const header = `00-${TRACE}-${SPAN}-${flags}`;
    expect(parseTraceparent(header)).toEqual({ traceId: TRACE, spanId: SPAN, sampled: flags === "01" });
    expect(traceparentOf(parseTraceparent(header))).toBe(header);
  }
  expect(traceparentOf(undefined)).toBe("");
});

test.each([
  ["nothing", undefined],
  ["no text", [`00-${TRACE}-${SPAN}-01`]],
  ["a forbidden version", `ff-${TRACE}-${SPAN}-01`],
  ["no trace", `00-${"0".repeat(32)}-${SPAN}-01`],
  ["no span", `00-${TRACE}-${"0".repeat(16)}-01`],
  ["capitals", `00-${TRACE.toUpperCase()}-${SPAN}-01`],
  ["something behind it", `00-${TRACE}-${SPAN}-01-more`],
  ["a megabyte", "0".repeat(1 << 20)],
])("%s is no traceparent", (_, header) => {
  expect(parseTraceparent(header)).toBeUndefined();
});

test("whatever a stranger sends is read or refused, never thrown at", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."0123456789abcdef-"), minLength: 55, maxLength: 55 }), (header) => {
      const read = parseTraceparent(header);
      if (read) expect(traceparentOf(read).slice(3, -2)).toBe(header.slice(3, -2));
    }),
    { numRuns: 500 },
  );
});

test("without a tracer nothing is recorded, and nothing is told to the next process", () => {
  const span = NO_TRACER.start("anything", "server", parseTraceparent(`00-${TRACE}-${SPAN}-01`));
  expect(span).toBe(NO_TRACER.start("else", "client"));
  expect([span.recording, traceparentOf(span.context)]).toEqual([false, ""]);
  span.end();
});
