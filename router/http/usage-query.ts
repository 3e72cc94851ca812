import { z } from "zod";
import { DAY, Fault, HOUR, MINUTE, type Millis, shapeWords } from "#kernel";
import { startOf } from "../billing/index.ts";

/** What a page of OpenAI's usage or costs is asked for by. */
export interface PageQuery {
  /** Of a bucket. */
  readonly widthMs: Millis;
  /** Of this page; the first bucket may be the rest of one. */
  readonly since: Millis;
  readonly until: Millis;
  /** Where the whole query ends: there is more when the page ends before. */
  readonly end: Millis;
  readonly groupBy: ReadonlySet<string>;
  /** Undefined: all. */
  readonly projectIds: ReadonlySet<string> | undefined;
  readonly apiKeyIds: ReadonlySet<string> | undefined;
  readonly models: ReadonlySet<string> | undefined;
  readonly lineItems: ReadonlySet<string> | undefined;
  readonly userIds: ReadonlySet<string> | undefined;
  readonly batch: boolean | undefined;
}

/** How many buckets a page has: OpenAI's own limits. */
interface Width {
  readonly ms: Millis;
  readonly limit: number;
  readonly limitMax: number;
}

/** What one of the two routes knows; `dimensions` are what it groups by. */
export interface PageRules {
  readonly widths: Readonly<Record<string, Width>>;
  readonly dimensions: readonly string[];
}

export const USAGE_RULES: PageRules = {
  widths: {
    "1m": { ms: MINUTE, limit: 60, limitMax: 1440 },
    "1h": { ms: HOUR, limit: 24, limitMax: 168 },
    "1d": { ms: DAY, limit: 7, limitMax: 31 },
  },
  dimensions: ["project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source"],
};

export const COSTS_RULES: PageRules = {
  widths: { "1d": { ms: DAY, limit: 7, limitMax: 180 } },
  dimensions: ["project_id", "user_id", "line_item", "api_key_id", "api_source"],
};

/** A list comes once or many times, with brackets (as OpenAI's clients send it) or without. */
const list = z
  .union([z.string().transform((value) => [value]), z.array(z.string())])
  .transform((values): ReadonlySet<string> => new Set(values))
  .optional();
/** Seconds since the epoch, up to the last year with four digits. */
const seconds = z.coerce.number().int().min(0).max(253_402_214_400);

const Query = z.object({
  start_time: seconds,
  end_time: seconds.optional(),
  bucket_width: z.string().default("1d"),
  limit: z.coerce.number().int().min(1).optional(),
  page: z
    .string()
    .regex(/^page_\d{1,12}$/, "is no page of this query")
    .optional(),
  group_by: list,
  project_ids: list,
  api_key_ids: list,
  models: list,
  line_items: list,
  user_ids: list,
  batch: z.enum(["true", "false"]).optional(),
});

/** @throws Fault parameter_invalid, which names the parameter */
export function parsePageQuery(rules: PageRules, raw: unknown, now: Millis): PageQuery {
  const unbracketed = Object.fromEntries(Object.entries(raw as object).map(([name, value]) => [name.replace(/\[\]$/, ""), value]));
  const parsed = Query.safeParse(unbracketed, { error: shapeWords });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(issue!.path.join("."), issue!.message);
  }
  const query = parsed.data;
  const width = Object.hasOwn(rules.widths, query.bucket_width) ? rules.widths[query.bucket_width]! : undefined;
  if (!width) throw invalid("bucket_width", `is none of ${Object.keys(rules.widths).join(", ")}`);
  const { limit = width.limit } = query;
  if (limit > width.limitMax) throw invalid("limit", `is more than ${width.limitMax}`);
  const groupBy = query.group_by ?? new Set<string>();
  for (const dimension of groupBy) {
    if (!rules.dimensions.includes(dimension))
      throw invalid("group_by", `has ${dimension}, which is none of ${rules.dimensions.join(", ")}`);
  }
  return {
    ...{ widthMs: width.ms, groupBy, ...pageOf(width.ms, limit, query, now) },
    ...{ projectIds: query.project_ids, apiKeyIds: query.api_key_ids, models: query.models },
    ...{ lineItems: query.line_items, userIds: query.user_ids },
    batch: query.batch === undefined ? undefined : query.batch === "true",
  };
}

/** The cursor that leads to the page after one that ends at `until`. */
export function cursorTo(until: Millis): string {
  return `page_${until / 1000}`;
}

/** Whole minutes, as the ledger sums. Without an end the last bucket is the present one. */
function pageOf(widthMs: Millis, limit: number, query: z.output<typeof Query>, now: Millis) {
  const start = startOf(MINUTE, query.start_time * 1000);
  const end = query.end_time === undefined ? startOf(widthMs, now) + widthMs : startOf(MINUTE, query.end_time * 1000);
  if (end < start) throw invalid(query.end_time === undefined ? "start_time" : "end_time", "the time ends before it begins");
  const since = query.page === undefined ? start : Number(query.page.slice("page_".length)) * 1000;
  if (since < start || since > end || since % MINUTE !== 0) throw invalid("page", "is no page of this query");
  return { since, until: Math.min(end, startOf(widthMs, since) + limit * widthMs), end };
}

function invalid(field: string, message: string): Fault<"parameter_invalid"> {
  return new Fault("parameter_invalid", `${field}: ${message}`, { detail: { field } });
}
