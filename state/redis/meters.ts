import type { MeterState, Meters, Take, TakeAsk } from "../contract.ts";
import { checkName, checkRelease, checkSettle, checkTake, LIVE_WAIT_MS } from "../limits.ts";
import type { RedisConnection } from "./connection.ts";
import type { RedisKey, RedisKeys } from "./keys.ts";
import type { StoreTime } from "./store-time.ts";

/** Buckets, takes and holds of an account: hashes, and sorted sets of what ends by itself. */
export class RedisMeters implements Meters {
  readonly #connection: RedisConnection;
  readonly #keys: RedisKeys;
  readonly #time: StoreTime;

  constructor(connection: RedisConnection, keys: RedisKeys, time: StoreTime) {
    this.#connection = connection;
    this.#keys = keys;
    this.#time = time;
  }

  async take(ask: TakeAsk): Promise<Take> {
    checkTake(ask);
    const { account, id, draws, liveMax, hold, lifeMs } = ask;
    const keys = hold ? [...this.#account(account), this.#keys.book(account).counters(hold.spent.group)] : this.#account(account);
    const args = [
      ...[this.#time(), id, lifeMs, liveMax ?? ""],
      ...(hold ? [hold.amount.toString(), hold.budget.toString(), hold.spent.name] : ["", "", ""]),
      ...draws.flatMap(({ meter, amount, limit, windowMs }) => [meter, amount, limit, windowMs]),
    ];
    return readTake(ask, (await this.#connection.run("meters-take", keys, args)) as string[]);
  }

  async settle(account: string, id: string, used: Readonly<Record<string, number>>, hold: "ends" | "stays"): Promise<void> {
    checkSettle(account, id, used);
    await this.#connection.run("meters-settle", this.#account(account), [this.#time(), id, hold, ...Object.entries(used).flat()]);
  }

  async release(account: string, ids: readonly string[]): Promise<void> {
    checkRelease(account, ids);
    const { holds, holdEnds, held } = this.#keys.book(account);
    if (ids.length > 0) await this.#connection.run("meters-release", [holds, holdEnds, held], ids);
  }

  async live(account: string): Promise<{ readonly count: number; readonly held: bigint }> {
    checkName("account", account);
    const [count, held] = (await this.#connection.run("meters-live", this.#account(account), [this.#time()])) as [number, string];
    return { count, held: BigInt(held) };
  }

  #account(name: string): readonly RedisKey[] {
    const { buckets, takes, ends, holds, holdEnds, held } = this.#keys.book(name);
    return [buckets, takes, ends, holds, holdEnds, held];
  }
}

/** The script's answer: what happened, a detail, then three texts per draw. The draws are those of the first asker. */
function readTake(ask: TakeAsk, [what, detail, ...flat]: readonly string[]): Take {
  const meters: MeterState[] = [];
  for (let at = 0; at < flat.length; at += 3) meters.push({ meter: flat[at]!, left: Number(flat[at + 1]), fullInMs: Number(flat[at + 2]) });
  if (what === "taken") return { kind: "taken", meters, budgetLeft: detail === "" ? undefined : BigInt(detail!) };
  if (what === "budget") return { kind: "short", what, waitMs: undefined, meters };
  if (what === "live") return { kind: "short", what, waitMs: ask.liveMax === 0 ? undefined : LIVE_WAIT_MS, meters };
  return { kind: "short", what: ask.draws[Number(what) - 1]!.meter, waitMs: detail === "" ? undefined : Number(detail), meters };
}
