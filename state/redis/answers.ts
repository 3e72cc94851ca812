import type { Millis } from "#kernel";
import type { Answers, Begun } from "../contract.ts";
import { checkAnswer, checkDuration, checkNames } from "../limits.ts";
import type { RedisConnection } from "./connection.ts";
import type { RedisKey, RedisKeys } from "./keys.ts";
import type { StoreTime } from "./store-time.ts";

/** A hash per key of an account. What Redis keeps in all is bounded by its own maxmemory. */
export class RedisAnswers implements Answers {
  readonly #connection: RedisConnection;
  readonly #keys: RedisKeys;
  readonly #time: StoreTime;

  constructor(connection: RedisConnection, keys: RedisKeys, time: StoreTime) {
    this.#connection = connection;
    this.#keys = keys;
    this.#time = time;
  }

  async begin(ask: Parameters<Answers["begin"]>[0]): Promise<Begun> {
    const { account, key, digest, holder, termMs } = ask;
    checkNames({ account, key, digest, holder });
    checkDuration("termMs", termMs);
    const reply = await this.#connection.run("answers-begin", this.#answer(account, key), [digest, holder, termMs, this.#time()]);
    const [kind, detail] = reply as [Begun["kind"], string];
    if (kind === "running") return { kind, leftMs: Number(detail) };
    if (kind === "done") return { kind, answer: detail };
    return { kind };
  }

  async finish(account: string, key: string, holder: string, answer: string, keepMs: Millis): Promise<void> {
    checkNames({ account, key, holder });
    checkAnswer(answer);
    checkDuration("keepMs", keepMs);
    await this.#connection.run("answers-finish", this.#answer(account, key), [holder, answer, keepMs, this.#time()]);
  }

  async abandon(account: string, key: string, holder: string): Promise<void> {
    checkNames({ account, key, holder });
    await this.#connection.run("answers-abandon", this.#answer(account, key), [holder]);
  }

  #answer(account: string, key: string): readonly [RedisKey] {
    return [this.#keys.book(account).answer(key)];
  }
}
