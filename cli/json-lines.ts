/**
 * On which line of a JSON text the value at a path stands; of the deepest part of the path that is there.
 * @param text valid JSON
 * @param path names of fields and indices
 */
export function lineOf(text: string, path: readonly string[]): number {
  const scanner = new JsonScanner(text);
  return text.slice(0, scanner.find(path)).split("\n").length;
}

/** Walks over valid JSON without building it, so that positions are known. */
class JsonScanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The offset of the value at the path, or of where the path ends early. */
  find(path: readonly string[]): number {
    this.#blanks();
    const here = this.#at;
    const [name, ...rest] = path;
    const open = this.#text[this.#at];
    if (name === undefined || (open !== "{" && open !== "[")) return here;
    this.#at++;
    for (let index = 0; ; index++) {
      this.#blanks();
      if (this.#text[this.#at] === "}" || this.#text[this.#at] === "]") return here;
      const field = open === "{" ? this.#field() : String(index);
      if (field === name) return this.find(rest);
      this.#skip();
      this.#blanks();
      if (this.#text[this.#at] === ",") this.#at++;
    }
  }

  /** A name and its colon. */
  #field(): string {
    const from = this.#at;
    this.#skip();
    const name = JSON.parse(this.#text.slice(from, this.#at)) as string;
    this.#blanks();
    this.#at++;
    return name;
  }

  /** One value: brackets are counted outside of strings. */
  #skip(): void {
    this.#blanks();
    const token = /"(?:[^"\\]|\\.)*"|[{}[\],]|[^\s"{}[\],:]+|[\s:]+/y;
    let depth = 0;
    do {
      token.lastIndex = this.#at;
      const [found = ""] = token.exec(this.#text) ?? [];
      if (found === "{" || found === "[") depth++;
      if (found === "}" || found === "]") depth--;
      this.#at += Math.max(1, found.length);
    } while (depth > 0 && this.#at < this.#text.length);
  }

  #blanks(): void {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at++;
  }
}
