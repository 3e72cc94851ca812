import type { Clock, Millis, Tokens } from "#kernel";
import type { Beginning, Prefix, PrefixKeeper, Row, Runner, StepLogits, StepRow } from "../../node-agent/engine/runner/contract.ts";
import { TOY_BASE, TOY_VOCABULARY } from "../../node-agent/engine/testing/toy-runner.ts";

const CONTEXT_TOKENS_MAX = 1024;

/** What a step of the demo base takes on one core, fitted to 4,000 steps of a live cluster in which prompts were computed 64 tokens at a time. */
function stepMs(rows: readonly StepRow[]): Millis {
  const decoding = rows.filter(({ tokens }) => tokens.length === 1).length;
  const promptTokens = rows.reduce((sum, { tokens }) => sum + tokens.length, -decoding);
  const mixed = promptTokens > 0 && decoding > 0 ? 0.6 : 0;
  return 1.3 + 0.064 * promptTokens + 0.4 * decoding + mixed;
}

/** Computes nothing, and takes as long as the demo base does, on any clock. Every text goes on with token 0. */
export class TimedRunner implements Runner {
  readonly base = { ...TOY_BASE, contextTokensMax: CONTEXT_TOKENS_MAX };
  readonly limits;
  readonly memory = { weights: 0, cache: 0, tables: 0, workspace: 0 };
  readonly prefixes: PrefixKeeper;
  insideRunMs: Millis = 0;
  readonly #clock: Clock;
  readonly #logits = Float32Array.from({ length: TOY_VOCABULARY }, (_, id) => -id);
  readonly #rows = new Map<Row, Tokens>();
  readonly #kept = new Map<Prefix, Tokens>();
  #opened = 0;

  constructor(clock: Clock, rowsMax: number) {
    this.#clock = clock;
    this.limits = { rowsMax, kvTokensMax: rowsMax * CONTEXT_TOKENS_MAX, slotsMax: 1, tableRanksMax: 8 };
    const keptTokens = () => sum(this.#kept);
    this.prefixes = {
      unitTokens: 32,
      get keptTokens() {
        return keptTokens();
      },
      keptBytes: 0,
      keep: (_, tokens) => (this.#fits(tokens) ? this.#add(this.#kept, tokens) : undefined),
      forget: (prefix) => this.#kept.delete(prefix),
      copy: () => undefined,
    };
  }

  attach(): undefined {}

  fill(): boolean {
    return true;
  }

  detach(): void {}

  open(tokensMax: Tokens, _?: Beginning): Row | undefined {
    return this.#fits(tokensMax) ? this.#add(this.#rows, tokensMax) : undefined;
  }

  close(row: Row): void {
    this.#rows.delete(row);
  }

  async run(rows: readonly StepRow[]): Promise<StepLogits> {
    const ms = stepMs(rows);
    await this.#clock.after(ms);
    this.insideRunMs += ms;
    return rows.map(() => this.#logits);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #fits(tokens: Tokens): boolean {
    return sum(this.#rows) + sum(this.#kept) + tokens <= this.limits.kvTokensMax;
  }

  #add(places: Map<number, Tokens>, tokens: Tokens): number {
    places.set(++this.#opened, tokens);
    return this.#opened;
  }
}

function sum(places: ReadonlyMap<number, Tokens>): Tokens {
  return places.values().reduce((total, tokens) => total + tokens, 0);
}
