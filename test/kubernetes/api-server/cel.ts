/**
 * As much of CEL as our CustomResourceDefinitions use, so that their rules are executed and not only read: literals and
 * lists, `self` and `oldSelf`, fields, `has()`, `!`, `==`, `!=`, `<`, `<=`, `>`, `>=`, `+`, `in`, `&&`, `||`, brackets,
 * and of strings `startsWith`, `endsWith`, `contains`, `matches` and `size`. Anything else is an error. Not CEL: `&&`
 * and `||` stop at the first answer and do not swallow errors, and nothing is type-checked before it runs.
 */
export function evaluate(rule: string, variables: Readonly<Record<string, unknown>>): unknown {
  const reader = new Reader(tokens(rule), variables);
  const value = reader.or();
  reader.end();
  return value;
}

const TOKEN = /\s*(?:(\d+)|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([A-Za-z_]\w*)|(&&|\|\||==|!=|<=|>=|[!<>()[\].,+]))/y;

interface Token {
  readonly type: "number" | "string" | "word" | "mark";
  readonly text: string;
}

function tokens(rule: string): Token[] {
  const found: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < rule.trimEnd().length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(rule);
    if (!match) throw new Error(`CEL: ${rule} at ${at}`);
    const [, number, single, double, word, mark] = match;
    if (number !== undefined) found.push({ type: "number", text: number });
    else if (single !== undefined || double !== undefined)
      found.push({ type: "string", text: (single ?? double)!.replace(/\\(.)/g, "$1") });
    else if (word !== undefined) found.push({ type: "word", text: word });
    else found.push({ type: "mark", text: mark! });
  }
  return found;
}

const COMPARISONS: Readonly<Record<string, (left: never, right: never) => boolean>> = {
  "==": (left, right) => JSON.stringify(left) === JSON.stringify(right),
  "!=": (left, right) => JSON.stringify(left) !== JSON.stringify(right),
  "<": (left, right) => left < right,
  "<=": (left, right) => left <= right,
  ">": (left, right) => left > right,
  ">=": (left, right) => left >= right,
  in: (left, right) => (right as unknown[]).includes(left),
};

const METHODS: Readonly<Record<string, (self: string, argument: string) => unknown>> = {
  startsWith: (self, argument) => self.startsWith(argument),
  endsWith: (self, argument) => self.endsWith(argument),
  contains: (self, argument) => self.includes(argument),
  matches: (self, argument) => new RegExp(argument).test(self),
  size: (self) => [...self].length,
};

class Reader {
  readonly #tokens: Token[];
  readonly #variables: Readonly<Record<string, unknown>>;
  /** What is not to be computed is only read: the other side of an `||`. */
  #skipping = 0;

  constructor(read: Token[], variables: Readonly<Record<string, unknown>>) {
    this.#tokens = read;
    this.#variables = variables;
  }

  or(): unknown {
    return this.#junction("||", true, () => this.#junction("&&", false, () => this.#comparison()));
  }

  end(): void {
    if (this.#tokens.length > 0) throw new Error(`CEL: unexpected ${this.#tokens[0]!.text}`);
  }

  #junction(mark: string, decisive: boolean, next: () => unknown): unknown {
    let value = next();
    while (this.#take(mark)) {
      const decided = value === decisive;
      if (decided) this.#skipping++;
      const right = next();
      if (decided) this.#skipping--;
      else value = right;
    }
    return value;
  }

  #comparison(): unknown {
    const left = this.#sum();
    const operator = this.#tokens[0]?.text ?? "";
    if (!(operator in COMPARISONS) || this.#tokens[0]!.type === "string") return left;
    this.#tokens.shift();
    const right = this.#sum();
    return this.#skipping > 0 ? undefined : COMPARISONS[operator]!(left as never, right as never);
  }

  #sum(): unknown {
    let value = this.#unary();
    while (this.#take("+")) value = (value as string) + (this.#unary() as string);
    return value;
  }

  #unary(): unknown {
    if (this.#take("!")) return !this.#unary();
    let value = this.#primary();
    while (this.#take(".")) {
      const name = this.#tokens.shift()!.text;
      if (this.#take("(")) {
        const argument = this.#take(")") ? undefined : this.#until(")", this.or());
        const method = METHODS[name];
        if (!method) throw new Error(`CEL: no method ${name}`);
        value = this.#skipping > 0 ? undefined : method(value as string, argument as string);
      } else {
        value = this.#field(value, name);
      }
    }
    return value;
  }

  #primary(): unknown {
    const token = this.#tokens.shift();
    if (!token) throw new Error("CEL: unexpected end");
    if (token.type === "number") return Number(token.text);
    if (token.type === "string") return token.text;
    if (token.text === "(") return this.#until(")", this.or());
    if (token.text === "[") return this.#list();
    if (token.text === "true" || token.text === "false") return token.text === "true";
    if (token.text === "has") return this.#has();
    if (!(token.text in this.#variables)) throw new Error(`CEL: unexpected ${token.text}`);
    return this.#variables[token.text];
  }

  #list(): unknown[] {
    const items: unknown[] = [];
    while (!this.#take("]")) {
      items.push(this.or());
      this.#take(",");
    }
    return items;
  }

  /** `has(self.a.b)`: the last field may be missing, those before may not. */
  #has(): boolean {
    this.#until("(", undefined);
    let value = this.#primary();
    let present = true;
    while (this.#take(".")) {
      const name = this.#tokens.shift()!.text;
      present = value != null && (value as Record<string, unknown>)[name] !== undefined;
      value = present ? (value as Record<string, unknown>)[name] : undefined;
    }
    return this.#until(")", present);
  }

  #field(value: unknown, name: string): unknown {
    if (this.#skipping > 0) return undefined;
    const field = (value as Record<string, unknown> | undefined)?.[name];
    if (field === undefined) throw new Error(`CEL: no such key: ${name}`);
    return field;
  }

  #take(text: string): boolean {
    if (this.#tokens[0]?.text !== text || this.#tokens[0].type === "string") return false;
    this.#tokens.shift();
    return true;
  }

  #until<T>(text: string, value: T): T {
    if (!this.#take(text)) throw new Error(`CEL: expected ${text}, found ${this.#tokens[0]?.text ?? "the end"}`);
    return value;
  }
}
