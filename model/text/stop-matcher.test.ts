import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { createStopMatcher } from "./stop-matcher.ts";

const RUNS = Number(process.env["DELTAPLANE_FUZZ"] ?? 1000);
vi.setConfig({ testTimeout: 5000 + 20 * RUNS });

/** The dumb twin: at every end, does any stop string end here? */
function cutAtStop(text: string, stops: readonly string[]): { text: string; stopped: boolean } {
  for (let end = 1; end <= text.length; end++) {
    const ending = stops.filter((stop) => text.slice(0, end).endsWith(stop)).map((stop) => stop.length);
    if (ending.length > 0) return { text: text.slice(0, end - Math.max(...ending)), stopped: true };
  }
  return { text, stopped: false };
}

/** Two letters only, so that stop strings overlap themselves and each other. */
const word = (maxLength: number, minLength = 0) => fc.string({ unit: fc.constantFrom("a", "b", "😀"), minLength, maxLength });

test("streams exactly what a search in the whole text would leave, however the text is cut", () => {
  fc.assert(
    fc.property(fc.array(word(6), { maxLength: 12 }), fc.array(word(5, 1), { maxLength: 4 }), (pieces, stops) => {
      const matcher = createStopMatcher(stops);
      let released = "";
      let stopped = false;
      for (const piece of pieces) {
        const step = matcher.push(piece);
        released += step.text;
        stopped = step.stopped;
        expect(step.text.isWellFormed()).toBe(true);
      }
      released += matcher.flush();
      expect({ text: released, stopped }).toEqual(cutAtStop(pieces.join(""), stops));
    }),
    { numRuns: RUNS },
  );
});

test("holds back only what may still become a stop string", () => {
  fc.assert(
    fc.property(fc.array(word(6), { maxLength: 12 }), fc.array(word(5, 1), { minLength: 1, maxLength: 4 }), (pieces, stops) => {
      const matcher = createStopMatcher(stops);
      let seen = "";
      let released = "";
      for (const piece of pieces) {
        seen += piece;
        const step = matcher.push(piece);
        released += step.text;
        if (step.stopped) return;
        const held = seen.slice(released.length);
        const longest = Math.max(...stops.map((stop) => longestOverlap(seen, stop)));
        expect(held.length).toBe(longest);
      }
    }),
    { numRuns: RUNS },
  );
});

/** The longest proper prefix of `stop` that `text` ends with. */
function longestOverlap(text: string, stop: string): number {
  for (let length = stop.length - 1; length > 0; length--) if (text.endsWith(stop.slice(0, length))) return length;
  return 0;
}

test("finds a stop string that spans three pieces", () => {
  const matcher = createStopMatcher(["\n\nHuman:"]);
  expect(matcher.push("Yes.\n")).toEqual({ text: "Yes.", stopped: false });
  expect(matcher.push("\nHum")).toEqual({ text: "", stopped: false });
  expect(matcher.push("an: next")).toEqual({ text: "", stopped: true });
  expect(matcher.push("more")).toEqual({ text: "", stopped: true });
  expect(matcher.flush()).toBe("");
});

test("without stop strings everything passes at once", () => {
  const matcher = createStopMatcher([]);
  expect(matcher.push("abc")).toEqual({ text: "abc", stopped: false });
  expect(matcher.flush()).toBe("");
});

test("refuses an empty stop string by its place", () => {
  expect(() => createStopMatcher(["a", ""])).toThrow(/stop\[1\]/);
});
