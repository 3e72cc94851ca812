import type { z } from "zod";

/** One thing that is wrong with a value, as zod found it. */
type Issue = z.core.$ZodRawIssue;

/** Longer texts are shown by their beginning: a message is no place for a document. */
const SHOWN_CHARACTERS_MAX = 40;

const KINDS: Readonly<Record<string, string>> = {
  array: "a list",
  boolean: "true or false",
  int: "a whole number",
  number: "a number",
  object: "an object",
  record: "an object",
  string: "a text",
  tuple: "a list",
};

/** What a minimum or a maximum counts, where it is not the value itself. */
const COUNTED: Readonly<Record<string, readonly [one: string, many: string]>> = {
  array: ["entry", "entries"],
  record: ["field", "fields"],
  set: ["entry", "entries"],
  string: ["character", "characters"],
};

/**
 * What a field that is not as its schema says must be, and what came instead: "must be a whole number, not 1.5". Told by whoever
 * names the field before it. For zod, which has words of its own otherwise: `schema.safeParse(value, { error: shapeWords })`;
 * a schema's own message goes first.
 */
export function shapeWords(issue: Issue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined
        ? `is missing; it must be ${kindOf(issue.expected)}`
        : `must be ${kindOf(issue.expected)}${cameAs(issue.input)}`;
    case "invalid_value":
      return `must be ${issue.values.map(shown).join(" or ")}${cameAs(issue.input)}`;
    case "too_small":
      return bound(issue, issue.inclusive === false ? "more than" : "at least", issue.minimum);
    case "too_big":
      return bound(issue, issue.inclusive === false ? "less than" : "at most", issue.maximum);
    case "not_multiple_of":
      return `must be a multiple of ${issue.divisor}${cameAs(issue.input)}`;
    case "invalid_format":
      return `must be ${issue.format === "regex" ? `like ${issue.pattern}` : `a valid ${issue.format}`}${cameAs(issue.input)}`;
    case "unrecognized_keys":
      return `has a field that is not known: ${issue.keys.map(shown).join(", ")}`;
    case "invalid_key":
      return `has a name that it may not have: ${issue.issues[0]?.message}`;
    case "invalid_union":
      return unionWords(issue.errors, issue.input);
    default:
      return undefined; // A check of ours, which has words of its own.
  }
}

/** Of the shapes that a value may have, the one that it comes nearest to: the one that is wrong only further inside. */
function unionWords(shapes: readonly (readonly z.core.$ZodIssue[])[], input: unknown): string {
  const first = shapes.flatMap(([issue]) => (issue === undefined ? [] : [issue]));
  const inner = first.find(({ path }) => path.length > 0);
  if (inner) return `${inner.path.join(".")} ${inner.message}`;
  const kinds = new Set(first.flatMap((issue) => (issue.code === "invalid_type" ? [kindOf(issue.expected)] : [])));
  if (kinds.size === 0) return first[0]?.message ?? `is of none of the shapes that it may have${cameAs(input)}`;
  const other = first.find(({ code }) => code !== "invalid_type");
  return other?.message ?? `must be ${[...kinds].join(" or ")}${cameAs(input)}`;
}

function bound(
  { origin, exact, input }: z.core.$ZodRawIssue<z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig>,
  how: string,
  limit: number | bigint,
): string {
  const limited = exact ? `exactly ${limit}` : `${how} ${limit}`;
  const counted = COUNTED[String(origin)];
  return counted === undefined ? `must be ${limited}${cameAs(input)}` : `must have ${limited} ${counted[Number(limit) === 1 ? 0 : 1]}`;
}

function kindOf(expected: string): string {
  return KINDS[expected] ?? expected;
}

/** A text that is no number has become NaN on its way: that tells nobody anything. */
function cameAs(input: unknown): string {
  return Number.isNaN(input) ? "" : `, not ${shown(input)}`;
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value !== "string") return value === undefined ? "nothing" : String(value);
  return JSON.stringify(value.length > SHOWN_CHARACTERS_MAX ? `${value.slice(0, SHOWN_CHARACTERS_MAX)}…` : value);
}
