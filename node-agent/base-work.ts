import type { Clock, DeltaDigest, Millis, Tokens } from "#kernel";
import type { DeltaDemand } from "./delta-demand.ts";

/** One request's work on a base. Dispose it when it has ended, however. */
export interface RequestWork extends Disposable {
  /** So many completion tokens more, of any choice. */
  produced(tokens: Tokens): void;
}

/** The mean follows the last so many rows. */
const ROWS_MEANT = 32;

/** What runs on one base, as far as estimates of a first token need it. */
export class BaseWork {
  readonly #clock: Clock;
  readonly #demand: DeltaDemand;
  #promptTokensWaiting: Tokens = 0;
  #meanRowMs: Millis | undefined;

  constructor(clock: Clock, demand: DeltaDemand) {
    this.#clock = clock;
    this.#demand = demand;
  }

  /** Of prompts whose first token has not come yet. */
  get promptTokensWaiting(): Tokens {
    return this.#promptTokensWaiting;
  }

  /** From first token to end, over the last rows; 0 before the first. */
  get meanRowMs(): Millis {
    return this.#meanRowMs ?? 0;
  }

  begin(delta: DeltaDigest | undefined, promptTokens: Tokens): RequestWork {
    let firstAt: Millis | undefined;
    let ended = false;
    this.#promptTokensWaiting += promptTokens;
    const serve = (tokens: Tokens) => delta && this.#demand.used(delta, tokens);
    return {
      produced: (tokens) => {
        if (firstAt === undefined) {
          firstAt = this.#clock.monotonic();
          this.#promptTokensWaiting -= promptTokens;
          serve(promptTokens);
        }
        serve(tokens);
      },
      [Symbol.dispose]: () => {
        if (ended) return;
        ended = true;
        if (firstAt === undefined) this.#promptTokensWaiting -= promptTokens;
        else this.#tookRow(this.#clock.monotonic() - firstAt);
      },
    };
  }

  #tookRow(rowMs: Millis): void {
    this.#meanRowMs = this.#meanRowMs === undefined ? rowMs : this.#meanRowMs + (rowMs - this.#meanRowMs) / ROWS_MEANT;
  }
}
