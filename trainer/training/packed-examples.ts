import { createHash } from "node:crypto";
import { type Bytes, Fault, type Tokens } from "#kernel";
import type { Example } from "./example.ts";

/** Examples one after another, as they also travel between processes. */
export interface ExamplePart {
  /** Of each example. */
  readonly lengths: Int32Array<ArrayBuffer>;
  /** Of all examples, as many as `lengths` add up to. */
  readonly tokenIds: Int32Array<ArrayBuffer>;
  readonly weights: Float32Array<ArrayBuffer>;
}

/** What examples must be for one base. */
export interface ExampleLimits {
  readonly vocabularySize: number;
  readonly contextTokensMax: Tokens;
  /** Over all examples; they are kept in memory, at 8 bytes a token. */
  readonly tokensMax: Tokens;
}

/** A data set in memory: 8 bytes per token, whatever the number of examples. */
export class PackedExamples {
  readonly #lengths = new Grown(Int32Array);
  readonly #ends: number[] = [];
  readonly #tokenIds = new Grown(Int32Array);
  readonly #weights = new Grown(Float32Array);

  get count(): number {
    return this.#ends.length;
  }

  /** Over all examples. */
  get tokens(): Tokens {
    return this.#tokenIds.length;
  }

  /** Of each example. */
  get lengths(): readonly Tokens[] {
    return Array.from(this.#lengths.values);
  }

  add(part: ExamplePart): void {
    let end = this.#tokenIds.length;
    for (const length of part.lengths) {
      end += length;
      this.#ends.push(end);
    }
    this.#lengths.push(part.lengths);
    this.#tokenIds.push(part.tokenIds);
    this.#weights.push(part.weights);
  }

  at(index: number): Example {
    const start = index === 0 ? 0 : this.#ends[index - 1]!;
    const end = this.#ends[index]!;
    return {
      tokenIds: Array.from(this.#tokenIds.values.subarray(start, end)),
      weights: Array.from(this.#weights.values.subarray(start, end)),
    };
  }

  *[Symbol.iterator](): Generator<Example> {
    for (let index = 0; index < this.count; index++) yield this.at(index);
  }

  /** SHA-256 (hex) of all that there is. */
  digest(): string {
    const hash = createHash("sha256");
    for (const { values } of [this.#lengths, this.#tokenIds, this.#weights]) {
      hash.update(`${values.length}\n`).update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
    return hash.digest("hex");
  }

  /** @throws Fault parameter_invalid that names the first example that can't be learned from */
  check({ vocabularySize, contextTokensMax, tokensMax }: ExampleLimits, field: string): void {
    const refuse = (why: string) => new Fault("parameter_invalid", `${field}: ${why}`, { detail: { field } });
    if (this.tokens > tokensMax) throw refuse(`${this.tokens} tokens, more than the ${tokensMax} that are kept in memory`);
    let index = 0;
    for (const { tokenIds, weights } of this) {
      const name = `example ${++index}`;
      if (tokenIds.length > contextTokensMax) throw refuse(`${name} has ${tokenIds.length} tokens, the base's context ${contextTokensMax}`);
      const odd = tokenIds.find((tokenId) => tokenId < 0 || tokenId >= vocabularySize);
      if (odd !== undefined) throw refuse(`${name} has the token ${odd}; the base's vocabulary has ${vocabularySize}`);
      if (weights.some((weight) => !(weight >= 0 && Number.isFinite(weight))))
        throw refuse(`${name} has a weight that is no number from 0`);
      if (!weights.some((weight, place) => place > 0 && weight > 0)) throw refuse(`${name} has no token to be learned`);
    }
  }
}

/** Large enough that messages cost nothing beside the copy, small enough that neither process is held up by one. */
const PART_BYTES: Bytes = 256 * 1024;
const TOKEN_BYTES: Bytes = 8;

/** Examples in parts of about {@link PART_BYTES}. */
export async function* exampleParts(examples: AsyncIterable<Example> | Iterable<Example>): AsyncGenerator<ExamplePart> {
  let waiting: Example[] = [];
  let tokens = 0;
  for await (const example of examples) {
    waiting.push(example);
    tokens += example.tokenIds.length;
    if (tokens * TOKEN_BYTES < PART_BYTES) continue;
    yield packed(waiting);
    waiting = [];
    tokens = 0;
  }
  if (waiting.length > 0) yield packed(waiting);
}

function packed(examples: readonly Example[]): ExamplePart {
  return {
    lengths: Int32Array.from(examples, ({ tokenIds }) => tokenIds.length),
    tokenIds: Int32Array.from(examples.flatMap(({ tokenIds }) => tokenIds)),
    weights: Float32Array.from(examples.flatMap(({ weights }) => weights)),
  };
}

type Numbers = Int32Array<ArrayBuffer> | Float32Array<ArrayBuffer>;

/** An array that doubles its room when it is full. */
class Grown<T extends Numbers> {
  #room: T;
  #length = 0;
  readonly #kind: new (
    size: number,
  ) => T;

  constructor(kind: new (size: number) => T) {
    this.#kind = kind;
    this.#room = new kind(1024);
  }

  get length(): number {
    return this.#length;
  }

  /** Valid until the next push. */
  get values(): T {
    return this.#room.subarray(0, this.#length) as T;
  }

  push(more: T): void {
    if (this.#length + more.length > this.#room.length) {
      const larger = new this.#kind(Math.max(2 * this.#room.length, this.#length + more.length));
      larger.set(this.values);
      this.#room = larger;
    }
    this.#room.set(more, this.#length);
    this.#length += more.length;
  }
}
