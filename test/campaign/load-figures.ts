import { quantile } from "../../bench/statistics.ts";
import type { Attempt } from "./ask.ts";
import type { Violation } from "./storm-check.ts";

/** What a check under load measured, and which promises were broken whatever the machine's speed. */
export interface LoadFigures {
  readonly figures: Readonly<Record<string, number>>;
  readonly violations: readonly Violation[];
}

/** A call that was due at a time of its own: how late it was sent counts as waiting. */
export interface TimedAttempt extends Attempt {
  readonly lateMs: number;
}

export const firstPieceMs = (attempts: readonly TimedAttempt[]): readonly number[] =>
  attempts.flatMap((attempt) => (attempt.firstPieceMs === undefined ? [] : [attempt.firstPieceMs + attempt.lateMs]));

export const completed = <A extends Attempt>(attempts: readonly A[]): readonly A[] =>
  attempts.filter((attempt) => attempt.ending === "completed");

/** Refused for want of room, and not for any other reason. */
export const shed = <A extends Attempt>(attempts: readonly A[]): readonly A[] =>
  attempts.filter(({ fault }) => fault?.code === "resource_exhausted" || fault?.code === "429");

/** Neither answered nor shed: under overload as bad as a crash. */
export function unexpected(attempts: readonly Attempt[]): readonly Violation[] {
  const fine = new Set<Attempt>([...completed(attempts), ...shed(attempts)]);
  const reasons = Map.groupBy(
    attempts.filter((attempt) => !fine.has(attempt)),
    (attempt) => `${attempt.fault?.code ?? attempt.ending} ${attempt.fault?.reason ?? ""}`,
  );
  const breaches = attempts.flatMap((attempt) => attempt.breaches);
  return [
    ...[...reasons].map(([reason, some]) => ({ rule: "overload", what: `${some.length} requests ended with ${reason}` })),
    ...breaches.map((what) => ({ rule: "P7", what })),
  ];
}

export const p99 = (values: readonly number[]): number => quantile(values, 0.99);

/** Jain's index: 1 when all shares are equal, 1/n when one has everything. */
export function jain(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  const squares = shares.reduce((total, share) => total + share * share, 0);
  return squares === 0 ? 1 : (sum * sum) / (shares.length * squares);
}
