import { Fault, type Millis } from "#kernel";

/** All of it in UTC: a month, a day and an hour mean the same to everybody who reads the bill. */

/** From `since` (included) to `until` (excluded). */
export interface Period {
  readonly since: Millis;
  readonly until: Millis;
}

/** The present month of the text "YYYY-MM". @throws Fault parameter_invalid */
export function monthPeriod(month: string): Period {
  const [, year, number] = /^(\d{4})-(0[1-9]|1[0-2])$/.exec(month) ?? [];
  if (year === undefined) {
    throw new Fault("parameter_invalid", `month is "${month}"; it must be YYYY-MM`, { detail: { field: "month" } });
  }
  return { since: Date.UTC(Number(year), Number(number) - 1), until: Date.UTC(Number(year), Number(number)) };
}

/** "YYYY-MM" */
export function monthOf(at: Millis): string {
  return new Date(at).toISOString().slice(0, 7);
}

/** "YYYY-MM-DD" */
export function dayOf(at: Millis): string {
  return new Date(at).toISOString().slice(0, 10);
}

/** Where the hour or day that holds a moment begins. */
export function startOf(widthMs: Millis, at: Millis): Millis {
  return Math.floor(at / widthMs) * widthMs;
}

/** `2026-11-23T00:00:00Z`, without fractions. */
export function isoSecond(at: Millis): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}
