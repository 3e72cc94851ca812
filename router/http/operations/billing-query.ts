import { z } from "zod";
import { DAY, MINUTE, type Millis } from "#kernel";
import { monthPeriod, type Period, startOf } from "../../billing/index.ts";
import type { UsageDimension } from "../../ledger/index.ts";
import { invalidField } from "../request-body.ts";
import { instant, parsed, tenantId } from "./query.ts";

const DIMENSIONS = ["tenant", "project", "key", "model", "base", "price", "day", "hour"] as const satisfies readonly UsageDimension[];
/** The span without one: a month of days. */
const SPAN_MS: Millis = 30 * DAY;
/** A year and the rest of a month; by the hour as many rows as by the day. */
const SPAN_MS_MAX: Readonly<Record<"day" | "hour", Millis>> = { day: 400 * DAY, hour: 17 * DAY };

const span = { since_ms: instant.optional(), until_ms: instant.optional() };
const by = z
  .union([z.string().transform((value) => value.split(",")), z.array(z.string())])
  .pipe(z.array(z.enum(DIMENSIONS)).max(DIMENSIONS.length))
  .default(["day", "model"]);

const UsageQuery = z.object({ ...span, by, tenant_id: tenantId });
const SpanQuery = z.object(span);
const ExportQuery = z.object({ ...span, month: z.string().optional(), tenant_id: tenantId });

/** @throws Fault parameter_invalid, which names the parameter */
export function usageQuery(raw: unknown, now: Millis) {
  const { by: dimensions, tenant_id, ...asked } = parsed(UsageQuery, raw);
  const unique = [...new Set<UsageDimension>(dimensions)];
  if (unique.includes("day") && unique.includes("hour")) throw invalidField("by", "has both day and hour");
  return { by: unique, named: tenant_id, ...periodOf(asked, now, SPAN_MS_MAX[unique.includes("hour") ? "hour" : "day"]) };
}

/** Of a report: the last thirty days without a wish. @throws Fault parameter_invalid */
export function spanQuery(raw: unknown, now: Millis): Period {
  return periodOf(parsed(SpanQuery, raw), now, SPAN_MS_MAX.day);
}

/** A month, or from and until. @throws Fault parameter_invalid */
export function exportQuery(raw: unknown, now: Millis): Period & { readonly named: string } {
  const { month, tenant_id: named, ...asked } = parsed(ExportQuery, raw);
  if (month === undefined) return { named, ...periodOf(asked, now, SPAN_MS_MAX.day) };
  if (asked.since_ms !== undefined || asked.until_ms !== undefined) throw invalidField("month", "stands instead of since_ms and until_ms");
  return { named, ...monthPeriod(month) };
}

/** Whole minutes, as the ledger sums. */
function periodOf(asked: { since_ms?: Millis | undefined; until_ms?: Millis | undefined }, now: Millis, spanMax: Millis): Period {
  const until = startOf(MINUTE, asked.until_ms ?? now + MINUTE);
  const since = startOf(MINUTE, asked.since_ms ?? Math.max(0, until - SPAN_MS));
  if (until < since) throw invalidField("until_ms", "is before since_ms");
  if (until - since > spanMax) throw invalidField("since_ms", `lies more than ${spanMax / DAY} days before until_ms`);
  return { since, until };
}
