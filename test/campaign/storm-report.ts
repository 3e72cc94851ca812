import { type BenchReport, type BenchRow, createReport } from "#bench";
import type { Kill } from "./kills.ts";
import type { StormFigures, Violation } from "./storm-check.ts";
import type { ShotRecord } from "./storm-load.ts";

/** Everything that a storm came to. */
export interface Storm {
  readonly seed: number;
  readonly kills: readonly Kill[];
  readonly records: readonly ShotRecord[];
  readonly figures: StormFigures;
  /** Of requests whose router died, at the end: they are given up after 11 minutes. */
  readonly holdsOpen: number;
  readonly violations: readonly Violation[];
  readonly seconds: number;
}

/** As a table, and as figures: kills by victim, requests by outcome, tokens, violations by rule. */
export function stormReport(storm: Storm): Promise<BenchReport> {
  const { seed, kills, records, figures, violations, seconds } = storm;
  const calls = records.flatMap((record) => record.attempts);
  const routerKills = kills.filter((kill) => kill.victim === "router").length;
  const rows = [
    ...counted("kill -9", kills, (kill) => kill.victim),
    ...counted("requests", records, outcomeOf),
    ...counted("faults told", calls, (call) => call.fault?.reason),
    { what: "tokens", kind: "received", count: figures.tokensReceived },
    { what: "tokens", kind: "charged", count: figures.tokensCharged },
    { what: "tokens", kind: "received, not charged", count: figures.tokensUncharged },
    { what: "tokens", kind: "in flight when a call was cut", count: figures.tokensInFlight },
    ...counted("violations", violations, (violation) => violation.rule),
  ];
  return createReport("kill-storm", rows, {
    seed,
    seconds,
    kills: kills.length,
    requests: records.length,
    calls: calls.length,
    tokens_received: figures.tokensReceived,
    tokens_charged: figures.tokensCharged,
    tokens_uncharged: figures.tokensUncharged,
    tokens_uncharged_per_router_kill: routerKills === 0 ? 0 : figures.tokensUncharged / routerKills,
    tokens_uncharged_max_per_request: Math.max(0, ...figures.uncharged),
    requests_uncharged: figures.uncharged.length,
    tokens_in_flight_max: figures.inFlightMax,
    holds_of_dead_routers: storm.holdsOpen,
    charges_without_known_id: figures.chargesUnheardOf,
    violations: violations.length,
  });
}

function outcomeOf({ shot, attempts }: ShotRecord): string {
  const last = attempts.at(-1)!;
  if (shot.refusal) return `to be refused (${shot.refusal}): ${last.ending}`;
  const again = attempts.length > 1 ? ", after more than one try" : "";
  return `${last.ending}${last.ending === "failed" ? (last.firstPieceMs === undefined ? " before the first piece" : " in the middle") : ""}${again}`;
}

function counted<T>(what: string, items: readonly T[], kindOf: (item: T) => string | undefined): BenchRow[] {
  const groups = Map.groupBy(items, kindOf);
  return [...groups]
    .flatMap(([kind, members]) => (kind === undefined ? [] : [{ what, kind, count: members.length }]))
    .sort((one, other) => other.count - one.count);
}
