import { expect, test } from "vitest";
import { z } from "zod";
import { shapeWords } from "./shape-words.ts";

const Shape = z.strictObject({
  count: z.number().int().min(1).max(9).optional(),
  share: z.number().gt(0).lt(1).optional(),
  told: z.coerce.number().optional(),
  name: z.string().min(1).max(3).optional(),
  code: z
    .string()
    .regex(/^[a-z]+$/)
    .optional(),
  form: z.string().regex(/^x$/, "is not x").optional(),
  kind: z.enum(["one", "two"]).optional(),
  on: z.boolean().optional(),
  list: z.array(z.string()).max(2).optional(),
  prompt: z.union([z.string(), z.array(z.strictObject({ text: z.string() }))]).optional(),
  at: z.iso.datetime().optional(),
  step: z.number().multipleOf(5).optional(),
});

test.each<[unknown, string]>([
  [{ count: "2" }, 'must be a number, not "2"'],
  [{ count: 1.5 }, "must be a whole number, not 1.5"],
  [{ count: 0 }, "must be at least 1, not 0"],
  [{ count: 10 }, "must be at most 9, not 10"],
  [{ share: 0 }, "must be more than 0, not 0"],
  [{ share: 1 }, "must be less than 1, not 1"],
  [{ told: "some" }, "must be a number"],
  [{ name: "" }, "must have at least 1 character"],
  [{ name: "long" }, "must have at most 3 characters"],
  [{ code: "A" }, 'must be like /^[a-z]+$/, not "A"'],
  [{ form: "y" }, "is not x"],
  [{ kind: "three" }, 'must be "one" or "two", not "three"'],
  [{ kind: "x".repeat(500) }, `must be "one" or "two", not "${"x".repeat(40)}…"`],
  [{ on: null }, "must be true or false, not null"],
  [{ list: ["a", "b", "c"] }, "must have at most 2 entries"],
  [{ list: [{}] }, "must be a text, not an object"],
  [{ prompt: 7 }, "must be a text or a list, not 7"],
  [{ prompt: [{ text: 1 }] }, "0.text must be a text, not 1"],
  [{ prompt: [{}] }, "0.text is missing; it must be a text"],
  [{ at: "noon" }, 'must be a valid datetime, not "noon"'],
  [{ step: 7 }, "must be a multiple of 5, not 7"],
  [{ other: 1 }, 'has a field that is not known: "other"'],
  [[], "must be an object, not a list"],
])("of %j it is said that it %s", (value, words) => {
  expect(Shape.safeParse(value, { error: shapeWords }).error?.issues[0]?.message).toBe(words);
});
