import { assert } from "#kernel";

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
/** Has no prototype, so that a key `__proto__` or `constructor` is a key like any other. */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** Where a text stops being JSON. */
export class JsonError extends Error {
  override readonly name = "JsonError";
}

/** Deeper nesting than any model file has; bounds the recursion of the reader. */
const DEPTH_MAX = 64;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const INTEGER = /(?:0|-?[1-9]\d*)(?![\d.eE])/y;
const WORDS: readonly (readonly [string, null | boolean])[] = [
  ["null", null],
  ["true", true],
  ["false", false],
];

/**
 * Reads JSON (RFC 8259) from an untrusted file. Unlike `JSON.parse` it refuses duplicate keys, numbers that overflow to
 * infinity, and nesting deeper than 64; with `numbers: "integers"` also every number that is not an exactly
 * representable integer written as one. Throws {@link JsonError} with the offset.
 */
export function parseStrictJson(text: string, options: { readonly numbers?: "integers" | "any" } = {}): JsonValue {
  return new Reader(text, options.numbers ?? "any").document();
}

class Reader {
  readonly #text: string;
  readonly #integersOnly: boolean;
  #at = 0;
  #depth = 0;

  constructor(text: string, numbers: "integers" | "any") {
    this.#text = text;
    this.#integersOnly = numbers === "integers";
  }

  document(): JsonValue {
    this.#space();
    const value = this.#value();
    this.#space();
    if (this.#at < this.#text.length) this.#fail("text after the end");
    return value;
  }

  #value(): JsonValue {
    switch (this.#text[this.#at]) {
      case "{":
        return this.#nested(() => this.#object());
      case "[":
        return this.#nested(() => this.#array());
      case '"':
        return this.#string();
      default:
        return this.#wordOrNumber();
    }
  }

  #nested<T>(read: () => T): T {
    if (this.#depth >= DEPTH_MAX) this.#fail(`nested deeper than ${DEPTH_MAX}`);
    this.#depth++;
    this.#at++;
    const value = read();
    this.#depth--;
    return value;
  }

  #object(): JsonObject {
    const object: Record<string, JsonValue> = Object.create(null);
    this.#list("}", () => {
      if (this.#text[this.#at] !== '"') this.#fail("a key in quotes is expected");
      const key = this.#string();
      if (key in object) this.#fail(`key ${JSON.stringify(key)} occurs twice`);
      this.#space();
      if (this.#text[this.#at] !== ":") this.#fail("a colon is expected");
      this.#at++;
      this.#space();
      object[key] = this.#value();
    });
    return object;
  }

  #array(): JsonValue[] {
    const array: JsonValue[] = [];
    this.#list("]", () => array.push(this.#value()));
    return array;
  }

  /** Items with commas between them, up to and including the closing bracket. */
  #list(close: "}" | "]", item: () => void): void {
    this.#space();
    if (this.#text[this.#at] === close) {
      this.#at++;
      return;
    }
    for (;;) {
      item();
      this.#space();
      const next = this.#text[this.#at];
      if (next !== "," && next !== close) this.#fail(`a comma or ${close} is expected`);
      this.#at++;
      if (next === close) return;
      this.#space();
    }
  }

  #string(): string {
    const start = this.#at;
    let escaped = false;
    for (let at = start + 1; at < this.#text.length; at++) {
      const code = this.#text.charCodeAt(at);
      if (code === 0x22) {
        this.#at = at + 1;
        return escaped ? this.#unescape(start) : this.#text.slice(start + 1, at);
      }
      if (code < 0x20) this.#fail("a control character in a string");
      if (code === 0x5c) {
        escaped = true;
        at++;
      }
    }
    return this.#fail("a string without an end");
  }

  #unescape(start: number): string {
    let value: unknown;
    try {
      value = JSON.parse(this.#text.slice(start, this.#at));
    } catch (error) {
      throw new JsonError(`bad escape in the string at offset ${start}`, { cause: error });
    }
    assert(typeof value === "string", "quoted JSON is a string");
    if (!value.isWellFormed()) this.#fail("half a surrogate pair in a string");
    return value;
  }

  #wordOrNumber(): JsonValue {
    for (const [word, value] of WORDS) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    const pattern = this.#integersOnly ? INTEGER : NUMBER;
    pattern.lastIndex = this.#at;
    const [written] = pattern.exec(this.#text) ?? this.#fail(this.#integersOnly ? "an integer is expected" : "a value is expected");
    const value = Number(written);
    if (!Number.isFinite(value)) this.#fail(`number ${written} is out of range`);
    if (this.#integersOnly && !Number.isSafeInteger(value)) this.#fail(`integer ${written} is out of range`);
    this.#at += written.length;
    return value;
  }

  #space(): void {
    for (; this.#at < this.#text.length; this.#at++) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
    }
  }

  #fail(why: string): never {
    throw new JsonError(`${why}, at offset ${this.#at}`);
  }
}
