import { InvalidArgumentError } from "commander";

const UNIT_MS = { d: 86_400_000, h: 3_600_000, m: 60_000 } as const;

/** Reads `2026-11-23`, `2026-11-23T12:00Z`, or how long ago: `7d`, `24h`, `30m`. Milliseconds since the epoch. */
export function instant(text: string): number {
  const [, count, unit] = /^(\d{1,9})([dhm])$/.exec(text) ?? [];
  if (count !== undefined) return Math.max(0, Date.now() - Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS]);
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new InvalidArgumentError("neither a date nor 7d, 24h, 30m");
  return at;
}
