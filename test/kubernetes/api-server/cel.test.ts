import { describe, expect, it } from "vitest";
import { evaluate } from "./cel.ts";

describe("the rules' language", () => {
  const self = { a: { b: "text" }, n: 3, flag: false };
  it.each([
    ["self.n == 3", true],
    ["self.n != 3 || self.n >= 3", true],
    ["self.n < 3 && self.n > 1", false],
    ["!self.flag", true],
    ["has(self.a) && !has(self.c)", true],
    ["has(self.a) != has(self.c)", true],
    ["has(self.a.b) && has(self.a.c)", false],
    ["self.a.b.startsWith('te') && self.a.b.endsWith(\"xt\") && self.a.b.contains('ex')", true],
    ["self.a.b.matches('^[a-z]{4}$')", true],
    ["('/' + self.a.b + '/').contains('/text/')", true],
    ["self.a.b in ['other', 'text']", true],
    ["!(self.a.b in ['other'])", true],
    ["self.a.b.size() == 4", true],
    ["!has(self.c) || self.c.size() > 3", true],
    ["has(self.c) && self.c.contains('x') && self.c.d == 1", false],
    ["self.a.b == '&&'", false],
  ])("%s", (rule, value) => {
    expect(evaluate(rule, { self })).toBe(value);
  });

  it.each(["self.c == 1", "self.n ==", "self.n == 3 4", "self.a.b.trim()", "other.n", "self.n = 3"])("%s is an error", (rule) => {
    expect(() => evaluate(rule, { self })).toThrow();
  });
});
