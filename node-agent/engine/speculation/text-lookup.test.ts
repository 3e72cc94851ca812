import fc from "fast-check";
import { expect, test } from "vitest";
import { TextLookup } from "./text-lookup.ts";

const lookUp = (text: readonly number[], most = 4) => new TextLookup().continue(text, most);

test("a text goes on as it did where its end stood before", () => {
  expect(lookUp([1, 2, 3, 4, 5, 6, 7, 9, 2, 3])).toEqual({ tokens: [4, 5, 6, 7], matchedTokens: 2 });
});

test("the longest common end decides, and of equal ones the latest", () => {
  expect(lookUp([7, 2, 3, 4, 5, 2, 3, 6, 8, 7, 2, 3], 1)).toEqual({ tokens: [4], matchedTokens: 3 });
  expect(lookUp([2, 3, 4, 5, 2, 3, 6, 8, 2, 3], 1)).toEqual({ tokens: [6], matchedTokens: 2 });
});

test("a loop goes on as often as is asked for", () => {
  expect(lookUp([1, 2, 3, 1, 2, 3, 1], 8)).toEqual({ tokens: [2, 3, 1, 2, 3, 1, 2, 3], matchedTokens: 4 });
  expect(lookUp([5, 5, 5], 3)).toEqual({ tokens: [5, 5, 5], matchedTokens: 2 });
});

test("a single token says how it goes on where no pair does", () => {
  expect(lookUp([1, 2, 3, 4, 2], 2)).toEqual({ tokens: [3, 4], matchedTokens: 1 });
  expect(lookUp([1, 1])).toEqual({ tokens: [1, 1, 1, 1], matchedTokens: 1 });
});

test.each([[[]], [[1]], [[1, 2]], [[3, 3, 2, 1]]])("nothing is said of %j", (text) => {
  expect(lookUp(text)).toBeUndefined();
});

test("nothing is asked for, nothing is said", () => {
  expect(lookUp([1, 2, 3, 1, 2], 0)).toBeUndefined();
});

/** By looking everywhere. */
function longestMatch(text: readonly number[]): number {
  const common = (place: number) => {
    let count = 0;
    while (count < 8 && count <= place && text[place - count] === text[text.length - 1 - count]) count++;
    return count;
  };
  return Math.max(0, ...text.slice(0, -1).map((_, place) => common(place)));
}

test("as a text grows, searches find what a look at all of it finds", () => {
  const grown = fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(grown, fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }), (text, looks) => {
      const lookup = new TextLookup();
      for (let end = 1; end <= text.length; end++) {
        if (!looks[end - 1]) continue; // Not asked in every step: it catches up.
        const seen = text.slice(0, end);
        const { tokens, matchedTokens } = lookup.continue(seen, 3) ?? { tokens: [], matchedTokens: 0 };
        expect(matchedTokens).toBe(longestMatch(seen));
        if (matchedTokens === 0) continue;
        const phrase = [...seen.slice(-matchedTokens), ...tokens];
        expect([...seen, ...tokens].join().indexOf(phrase.join())).toBeLessThan([...seen.slice(0, -matchedTokens), ""].join().length + 1);
      }
    }),
  );
});

test("a search in a text of one pair over and over compares a few places, not all", () => {
  const text = Array.from({ length: 99_999 }, (_, index) => (index % 3 === 2 ? index : index % 3)); // 0 1 x 0 1 y 0 1 z …
  const lookup = new TextLookup();
  lookup.continue(text, 4);
  let reads = 0;
  const counted = new Proxy([...text, 0, 1], {
    get(target, key) {
      reads++;
      return Reflect.get(target, key);
    },
  });
  expect(lookup.continue(counted, 4)).toEqual({ tokens: [99_998, 0, 1, 99_998], matchedTokens: 2 });
  expect(reads).toBeLessThan(200);
});
