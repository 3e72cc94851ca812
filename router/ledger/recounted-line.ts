import { z } from "zod";
import { shapeWords } from "#kernel";

/** What a recount reads of each kind of line. Strict about what it uses, and blind to the rest. */

const count = z.number().int().nonnegative();
const instant = count.max(Date.UTC(9999, 11, 31));
const amount = z.string().regex(/^-?\d{1,30}$/);
const usage = z.object({ promptTokens: count, cachedTokens: count, completionTokens: count, trainedTokens: count.default(0) });
const postings = z.array(z.tuple([z.string(), amount]));

const claim = z.object({
  kind: z.literal("claim"),
  claim: z.object({
    requestId: z.string(),
    tenantId: z.string(),
    projectId: z.string().optional(),
    keyId: z.string().optional(),
    model: z.string().optional(),
    baseName: z.string(),
    priceVersion: count,
    admittedAt: instant,
    usage,
  }),
});

const entry = z.object({ kind: z.literal("entry"), requestId: z.string(), priceVersion: count, tokens: usage, amount, postings });

const correction = z.object({
  kind: z.literal("correction"),
  id: z.string(),
  at: instant,
  requestId: z.string().optional(),
  amount,
  postings,
});

const nodeHours = z.object({
  kind: z.literal("node-hours"),
  sums: z.array(z.object({ day: z.string(), base: z.string(), nodeMs: count })),
});

const line = z.discriminatedUnion("kind", [claim, entry, correction, nodeHours]);

export type RawLine = z.output<typeof line>;
export type ClaimLine = z.output<typeof claim>;
export type EntryLine = z.output<typeof entry>;
export type CorrectionLine = z.output<typeof correction>;
export type NodeHoursLine = z.output<typeof nodeHours>;

export type ReadLine = { readonly kind: "read"; readonly line: RawLine } | { readonly kind: "unreadable"; readonly why: string };

export function readRawLine(text: string): ReadLine {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { kind: "unreadable", why: String(error) };
  }
  const read = line.safeParse(value, { error: shapeWords });
  if (read.success) return { kind: "read", line: read.data };
  return { kind: "unreadable", why: read.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ") };
}
