/** A suffix is searched for elsewhere in the texts up to this length; longer ones are warned of anyway. */
const REPEAT_CHARACTERS_MAX = 32;

/** How all texts of a column begin and end. */
export class SharedEnds {
  #texts = 0;
  #prefix = "";
  #suffix = "";
  #shortest = Number.POSITIVE_INFINITY;
  #longest = 0;
  /** The longest end of a text that also stands before its end: every shorter one does then. */
  #repeated = 0;

  see(text: string): void {
    this.#prefix = this.#texts === 0 ? text : text.slice(0, sharedPrefix(this.#prefix, text));
    this.#suffix = this.#texts === 0 ? text : text.slice(text.length - sharedSuffix(this.#suffix, text));
    this.#texts++;
    this.#shortest = Math.min(this.#shortest, text.length);
    this.#longest = Math.max(this.#longest, text.length);
    while (this.#repeated < Math.min(REPEAT_CHARACTERS_MAX, text.length - 1) && endsTwice(text, this.#repeated + 1)) this.#repeated++;
  }

  /** Whether there are several, and all the same. */
  get identical(): boolean {
    return this.#texts > 1 && this.#prefix.length === this.#longest;
  }

  /** What all end with; nothing for less than two texts. */
  get suffix(): string {
    if (this.#texts < 2) return "";
    return isLowSurrogate(this.#suffix.charCodeAt(0)) ? this.#suffix.slice(1) : this.#suffix;
  }

  /** Whether some text has the suffix elsewhere too. */
  get suffixRepeats(): boolean {
    return this.suffix !== "" && this.#repeated >= this.suffix.length;
  }

  /** What all begin with, up to the end of a word, leaving at least `rest` characters of each before the suffix. */
  prefix(rest: number): string {
    if (this.#texts < 2) return "";
    const length = Math.max(0, Math.min(this.#prefix.length, this.#shortest - this.suffix.length - rest));
    // Half a word is no instruction, and the other half no word.
    return this.#prefix.slice(0, length).match(/^.*[^\p{L}\p{M}\p{N}\p{Cs}]/su)?.[0] ?? "";
  }
}

function sharedPrefix(a: string, b: string): number {
  if (b.startsWith(a)) return a.length;
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

function sharedSuffix(a: string, b: string): number {
  if (b.endsWith(a)) return a.length;
  let length = 0;
  while (length < a.length && a.at(-1 - length) === b.at(-1 - length)) length++;
  return length;
}

function endsTwice(text: string, length: number): boolean {
  return text.slice(0, -length).includes(text.slice(-length));
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}
