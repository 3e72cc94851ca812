import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { compilePattern, PATTERN_STEPS_MAX } from "./module-pattern.ts";
import { PatternError } from "./pattern-error.ts";

const RUNS = Number(process.env["DELTAPLANE_FUZZ"] ?? 3000);
vi.setConfig({ testTimeout: 5000 + 20 * RUNS });
const matches = (pattern: string, text: string) => compilePattern(pattern, { stepsLeft: PATTERN_STEPS_MAX })(text);

describe("patterns that people use", () => {
  const module = "model.layers.11.self_attn.q_proj";
  test.each([
    [String.raw`.*\.(q_proj|v_proj)`, true],
    [String.raw`model\.layers\.(1[01]|2)\.self_attn\.[qkv]_proj`, true],
    [String.raw`^model\.layers\.\d+\.(?:self_attn|mlp)\..+_proj$`, true],
    [
      String.raw`(?:.*?(?:language|text).*?(?:k_proj|q_proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|mlp)\.(?:(?:q_proj|up_proj)))`,
      true,
    ],
    ["q_proj", false],
    [String.raw`model\.layers\.\d\.self_attn\.q_proj`, false],
    [String.raw`.*\.mlp\..*`, false],
    [".*[^a-z_]self_attn.q_pro[^j]", false],
  ])("%s", (pattern, expected) => {
    expect(matches(pattern, module)).toBe(expected);
  });
});

test("agrees with the language's own engine on every pattern that both know", () => {
  const leaf = fc.constantFrom("a", "b", ".", "\\.", "[ab]", "[^a]", "[a-c.]", "\\w", "\\d", "\\W", "^", "$", "\\b", "\\B");
  const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
    pattern: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      leaf,
      fc.tuple(tie("pattern"), tie("pattern")).map(([one, other]) => one + other),
      fc.tuple(tie("pattern"), tie("pattern")).map(([one, other]) => `(${one}|${other})`),
      fc
        .tuple(tie("pattern"), fc.constantFrom("*", "+", "?", "*?", "{2}", "{0,2}", "{1,}"))
        .map(([inner, times]) => `(?:${inner})${times}`),
    ),
  }));
  const text = fc.string({ unit: fc.constantFrom("a", "b", "c", ".", "1"), maxLength: 8 });
  fc.assert(
    fc.property(pattern, text, (source, value) => {
      expect(matches(source, value)).toBe(new RegExp(`^(?:${source})$`).test(value));
    }),
    { numRuns: RUNS },
  );
});

test.each(["(a+)+b", "(a|a)*b", "(.*)*b", "((a*)*)*b", "(a|aa)+b", ".*.*.*.*.*.*.*.*b"])("%s takes linear time", (pattern) => {
  expect(matches(pattern, "a".repeat(2000))).toBe(false);
});

describe("what is not supported is refused by name", () => {
  test.each([
    ["(?=a)", "(?"],
    ["(?P<name>a)", "(?"],
    ["(?i)a", "(?"],
    ["(a)\\1", "\\1"],
    ["\\p{L}", "\\p"],
    ["a**", "a repeated repetition"],
    ["a++", "a repeated repetition"],
    ["*a", "nothing to repeat"],
    ["(a", "without an end"],
    ["a)", "closing bracket"],
    ["[a", "without an end"],
    ["[z-a]", "range z-a"],
    ["a\\", "backslash at the end"],
    ["a{3,2}", "{3,2}"],
    ["a{1000}", "{1000}"],
    ["a".repeat(3000), "longer than"],
    ["(".repeat(100) + ")".repeat(100), "nested deeper"],
    ["((a{200}){200}){200}", "too complex"],
  ])("%s", (pattern, why) => {
    expect(() => matches(pattern, "a")).toThrow(PatternError);
    expect(() => matches(pattern, "a")).toThrow(why);
  });

  test("work beyond the budget", () => {
    const matchesLong = compilePattern("(a?){200}", { stepsLeft: 10_000 });
    expect(() => matchesLong("a".repeat(200))).toThrow("takes too long");
  });
});

test("any text is a pattern or is refused, never anything else", () => {
  const unit = fc.constantFrom(..."ab.*+?{}()[]|^$\\-,1:PdwZ");
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 12 }), (pattern) => {
      try {
        matches(pattern, "ab.1");
      } catch (error) {
        if (!(error instanceof PatternError)) throw error;
      }
    }),
    { numRuns: RUNS },
  );
});
