import { InvalidArgumentError, Option } from "commander";
import { DAY, HOUR, MINUTE } from "#kernel";

const UNIT_MS = { d: DAY, h: HOUR, m: MINUTE } as const;

/** `--since` and `--until` of commands that add up; 0 for what is not said, as on the wire. */
export const sinceOption = () => new Option("--since <when>", "a date, or 7d, 24h, 30m").argParser(instant).default(0, "the beginning");
export const untilOption = () => new Option("--until <when>", "likewise, excluded").argParser(instant).default(0, "now");

/** Reads `2026-11-23`, `2026-11-23T12:00Z`, or how long ago: `7d`, `24h`, `30m`. Milliseconds since the epoch. */
export function instant(text: string): number {
  const [, count, unit] = /^(\d{1,9})([dhm])$/.exec(text) ?? [];
  if (count !== undefined) return Math.max(0, Date.now() - Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS]);
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new InvalidArgumentError("neither a date nor 7d, 24h, 30m");
  return at;
}
