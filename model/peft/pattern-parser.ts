import { PatternError } from "./pattern-error.ts";

/** A state of the automaton: consumes one character, goes several ways, looks at its surroundings, or ends the match. */
export type State =
  | { readonly kind: "unit"; readonly accepts: (code: number) => boolean; readonly next: State }
  | { readonly kind: "choice"; readonly next: readonly State[] }
  | { readonly kind: "position"; readonly holds: (text: string, at: number) => boolean; readonly next: State }
  | { readonly kind: "accept" };

/** A piece of a pattern: given what follows, the state that begins it. */
type Piece = (next: State) => State;
type Accepts = (code: number) => boolean;

/** Longer ones than any that is generated (the longest known, unsloth's, have 600 characters). */
const PATTERN_LENGTH_MAX = 2048;
const STATES_MAX = 4096;
const REPEAT_MAX = 256;
const DEPTH_MAX = 32;

/** Parses the part of Python's `re` syntax that module patterns use. Throws {@link PatternError} for the rest, by name. */
export function parsePattern(pattern: string): { readonly start: State; readonly accept: State } {
  if (pattern.length > PATTERN_LENGTH_MAX) throw new PatternError(`is longer than ${PATTERN_LENGTH_MAX} characters`);
  const accept: State = { kind: "accept" };
  return { start: new Parser(pattern).parse()(accept), accept };
}

const between = (low: string, high: string): Accepts => {
  const [from, to] = [low.charCodeAt(0), high.charCodeAt(0)];
  return (code) => code >= from && code <= to;
};
const anyOf =
  (...parts: readonly Accepts[]): Accepts =>
  (code) =>
    parts.some((accepts) => accepts(code));
const not =
  (accepts: Accepts): Accepts =>
  (code) =>
    !accepts(code);
const only = (character: string): Accepts => between(character, character);

const isDigit = between("0", "9");
const isWord = anyOf(isDigit, between("a", "z"), between("A", "Z"), only("_"));
const isSpace = anyOf(only(" "), between("\t", "\r"));
const CLASSES: Readonly<Record<string, Accepts>> = {
  d: isDigit,
  D: not(isDigit),
  w: isWord,
  W: not(isWord),
  s: isSpace,
  S: not(isSpace),
};

const atBorder = (text: string, at: number): boolean => isWord(text.charCodeAt(at - 1)) !== isWord(text.charCodeAt(at));
const POSITIONS: Readonly<Record<string, (text: string, at: number) => boolean>> = {
  "^": (_, at) => at === 0,
  $: (text, at) => at === text.length,
  "\\A": (_, at) => at === 0,
  "\\Z": (text, at) => at === text.length,
  "\\b": atBorder,
  "\\B": (text, at) => !atBorder(text, at),
};

class Parser {
  readonly #pattern: string;
  #at = 0;
  #depth = 0;
  #states = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  parse(): Piece {
    const piece = this.#alternatives();
    if (this.#at < this.#pattern.length) this.#fail("a closing bracket without an opening one");
    return piece;
  }

  #alternatives(): Piece {
    const pieces = [this.#sequence()];
    while (this.#take("|")) pieces.push(this.#sequence());
    return pieces.length === 1 ? pieces[0]! : (next) => this.#choice(pieces.map((piece) => piece(next)));
  }

  #sequence(): Piece {
    const pieces: Piece[] = [];
    while (this.#at < this.#pattern.length && this.#peek() !== "|" && this.#peek() !== ")") pieces.push(this.#repeated(this.#atom()));
    return (next) => pieces.reduceRight((following, piece) => piece(following), next);
  }

  #repeated(piece: Piece): Piece {
    const [least, most] = this.#quantifier() ?? [1, 1];
    if (this.#at > 0 && "*+?{".includes(this.#peek() ?? " ")) this.#fail("a repeated repetition");
    if (least === 1 && most === 1) return piece;
    return (next) => {
      let state = next;
      if (most === Number.POSITIVE_INFINITY) state = this.#loop(piece, next);
      else for (let extra = least; extra < most; extra++) state = this.#choice([piece(state), next]);
      for (let needed = 0; needed < least; needed++) state = piece(state);
      return state;
    };
  }

  /** How often: `*`, `+`, `?`, `{2}`, `{2,}`, `{,3}` or `{2,3}`, each perhaps with a `?` for lazy. */
  #quantifier(): readonly [least: number, most: number] | undefined {
    const counted = /\{(\d*)(,?)(\d*)\}\??/y;
    counted.lastIndex = this.#at;
    const found = counted.exec(this.#pattern);
    if (found && found[0] !== "{}" && found[0] !== "{,}") {
      this.#at += found[0].length;
      const least = Number(found[1]);
      const most = found[2] === "" ? least : found[3] === "" ? Number.POSITIVE_INFINITY : Number(found[3]);
      if (least > REPEAT_MAX || (Number.isFinite(most) && most > REPEAT_MAX) || most < least) this.#fail(`the repetition ${found[0]}`);
      return [least, most];
    }
    const many = this.#take("*") ?? this.#take("+") ?? this.#take("?");
    if (many === undefined) return undefined;
    this.#take("?");
    return [many === "+" ? 1 : 0, many === "?" ? 1 : Number.POSITIVE_INFINITY];
  }

  #atom(): Piece {
    const character = this.#pattern[this.#at++]!;
    switch (character) {
      case "(":
        return this.#group();
      case "[":
        return this.#unit(this.#set());
      case ".":
        return this.#unit(not(only("\n")));
      case "\\":
        return this.#escape();
      case "^":
      case "$":
        return this.#position(POSITIONS[character]!);
      case "*":
      case "+":
      case "?":
      case "{":
        return this.#fail(`${character} with nothing to repeat`);
      default:
        return this.#unit(only(character));
    }
  }

  #group(): Piece {
    if (this.#take("?") && !this.#take(":")) this.#fail("a group that begins with (?, other than (?:");
    if (++this.#depth > DEPTH_MAX) this.#fail(`groups nested deeper than ${DEPTH_MAX}`);
    const piece = this.#alternatives();
    if (!this.#take(")")) this.#fail("a group without an end");
    this.#depth--;
    return piece;
  }

  #escape(): Piece {
    const character = this.#pattern[this.#at++] ?? this.#fail("a backslash at the end");
    const holds = POSITIONS[`\\${character}`];
    return holds ? this.#position(holds) : this.#unit(this.#escaped(character));
  }

  /** What `\` and a character stand for, in a set or outside. */
  #escaped(character: string): Accepts {
    if (Object.hasOwn(CLASSES, character)) return CLASSES[character]!;
    if (isWord(character.charCodeAt(0))) this.#fail(`the escape \\${character}`);
    return only(character);
  }

  #set(): Accepts {
    const negated = this.#take("^") !== undefined;
    const parts: Accepts[] = [];
    while (this.#peek() !== "]" || parts.length === 0) {
      const low = this.#pattern[this.#at++] ?? this.#fail("a set without an end");
      if (low === "\\") {
        parts.push(this.#escaped(this.#pattern[this.#at++] ?? this.#fail("a set without an end")));
        continue;
      }
      const range = this.#peek() === "-" && this.#pattern[this.#at + 1] !== "]";
      const high = range ? (this.#pattern[this.#at + 1] ?? this.#fail("a set without an end")) : low;
      if (range) this.#at += 2;
      if (high === "\\" || high < low) this.#fail(`the range ${low}-${high}`);
      parts.push(between(low, high));
    }
    this.#at++;
    return negated ? not(anyOf(...parts)) : anyOf(...parts);
  }

  #unit(accepts: Accepts): Piece {
    return (next) => this.#counted({ kind: "unit", accepts, next });
  }

  #position(holds: (text: string, at: number) => boolean): Piece {
    return (next) => this.#counted({ kind: "position", holds, next });
  }

  #choice(next: readonly State[]): State {
    return this.#counted({ kind: "choice", next });
  }

  #loop(piece: Piece, next: State): State {
    const ways: State[] = [next];
    const loop = this.#choice(ways);
    ways.push(piece(loop));
    return loop;
  }

  #counted(state: State): State {
    if (++this.#states > STATES_MAX) throw new PatternError("is too complex");
    return state;
  }

  #peek(): string | undefined {
    return this.#pattern[this.#at];
  }

  #take(character: string): string | undefined {
    if (this.#peek() !== character) return undefined;
    this.#at++;
    return character;
  }

  #fail(what: string): never {
    throw new PatternError(`${what} is not supported (at character ${this.#at})`);
  }
}
