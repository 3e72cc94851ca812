import { type Clock, MINUTE, type Millis } from "#kernel";
import { drawn, fullInMs, hasRoom, type Level, left, roomInMs } from "../bucket.ts";
import type { Draw, HoldAsk, MeterState, Meters, Take, TakeAsk } from "../contract.ts";
import { checkName, checkRelease, checkSettle, checkTake, LIVE_WAIT_MS } from "../limits.ts";
import { Account } from "./account.ts";
import type { Database } from "./database.ts";
import { counterOf, type Releases } from "./journal.ts";

/** How often accounts that say nothing any more are looked for. */
const SHRINK_MS: Millis = MINUTE;

/** A draw, and its bucket's level now. */
interface Drawing {
  readonly draw: Draw;
  readonly level: Level;
}

/**
 * Meters in memory: an embedded store has one process, and what that process admitted ends with it. Money held for
 * requests that were running when it died is spent by their claims, which the router posts before it serves again.
 */
export class EmbeddedMeters implements Meters, Releases {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #accounts = new Map<string, Account>();
  #shrinkAt: Millis;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
    this.#shrinkAt = clock.monotonic() + SHRINK_MS;
  }

  async take(ask: TakeAsk): Promise<Take> {
    checkTake(ask);
    const { now, account } = this.#open(ask.account);
    const live = account.takes.get(ask.id);
    if (live) return live.answer;
    const drawings = ask.draws.map((draw) => ({ draw, level: account.level(draw.meter, draw, now) }));
    const budgetLeft = ask.hold && this.#budgetLeft(ask.account, account, ask.id, ask.hold);
    const short = shortage(ask, account, drawings, budgetLeft);
    return short ?? take(ask, account, drawings, budgetLeft, now);
  }

  async settle(name: string, id: string, used: Readonly<Record<string, number>>, hold: "ends" | "stays"): Promise<void> {
    checkSettle(name, id, used);
    const { now, account } = this.#open(name);
    const take = account.takes.get(id);
    if (!take) return;
    account.takes.delete(id);
    if (hold === "ends") account.endHold(id);
    for (const draw of take.draws) {
      const level = account.level(draw.meter, draw, now);
      account.setLevel(draw.meter, draw, drawn(draw, level, (used[draw.meter] ?? 0) - draw.amount));
    }
  }

  async live(name: string): Promise<{ readonly count: number; readonly held: bigint }> {
    checkName("account", name);
    const { account } = this.#open(name);
    return { count: account.takes.size, held: account.held };
  }

  async release(name: string, ids: readonly string[]): Promise<void> {
    checkRelease(name, ids);
    this.#database.checkOpen();
    this.endHolds(name, ids);
  }

  endHolds(name: string, ids: readonly string[]): void {
    const account = this.#accounts.get(name);
    for (const id of ids) account?.endHold(id);
  }

  /** An account at a time: what ended by then has ended. */
  #open(name: string): { readonly now: Millis; readonly account: Account } {
    this.#database.checkOpen();
    const now = this.#clock.monotonic();
    if (now >= this.#shrinkAt) this.#shrink(now);
    const account = this.#accounts.get(name) ?? new Account();
    this.#accounts.set(name, account);
    account.expire(now);
    return { now, account };
  }

  #shrink(now: Millis): void {
    for (const [name, account] of this.#accounts) if (account.shrink(now)) this.#accounts.delete(name);
    this.#shrinkAt = now + SHRINK_MS;
  }

  /** What the budget would have left with this hold; below zero when it does not fit. */
  #budgetLeft(name: string, account: Account, id: string, { amount, budget, spent }: HoldAsk): bigint {
    const others = account.held - account.heldBy(id);
    return budget - counterOf(this.#database, name, spent.group, spent.name) - others - amount;
  }
}

/** What is short, the first of live, draws and budget; undefined when nothing is. */
function shortage(ask: TakeAsk, account: Account, drawings: readonly Drawing[], budgetLeft: bigint | undefined): Take | undefined {
  const short = (what: string, waitMs: Millis | undefined): Take => ({ kind: "short", what, waitMs, meters: drawings.map(stateOf) });
  if (ask.liveMax !== undefined && account.takes.size >= ask.liveMax) return short("live", ask.liveMax === 0 ? undefined : LIVE_WAIT_MS);
  const empty = drawings.find(({ draw, level }) => !hasRoom(level, draw.amount));
  if (empty) return short(empty.draw.meter, roomInMs(empty.draw, empty.level, empty.draw.amount));
  return budgetLeft !== undefined && budgetLeft < 0n ? short("budget", undefined) : undefined;
}

function take(ask: TakeAsk, account: Account, drawings: readonly Drawing[], budgetLeft: bigint | undefined, now: Millis): Take {
  const after = drawings.map(({ draw, level }) => ({ draw, level: drawn(draw, level, draw.amount) }));
  for (const { draw, level } of after) account.setLevel(draw.meter, draw, level);
  const endsAt = now + ask.lifeMs;
  if (ask.hold) account.hold(ask.id, { amount: ask.hold.amount, endsAt });
  const answer: Take = { kind: "taken", meters: after.map(stateOf), budgetLeft };
  account.begin(ask.id, { draws: ask.draws, answer, endsAt });
  return answer;
}

function stateOf({ draw, level }: Drawing): MeterState {
  return { meter: draw.meter, left: left(level), fullInMs: fullInMs(draw, level) };
}
