import { checkedBytes } from "./checked-bytes.ts";
import { jsonRecord } from "./json-record.ts";
import { lineFault, RECORD_BYTES_MAX, type RecordReader, type SourceRecord } from "./record.ts";

/** One JSON array of objects. It is cut into its elements, each of which is read by itself, so that only one is held. */
export const readJson: RecordReader = async function* (bytes, file) {
  const elements = new ArrayElements(file);
  for await (const piece of checkedBytes(bytes, file)) yield elements.push(piece);
  elements.end();
};

const CODE = { quote: 0x22, comma: 0x2c, open: 0x5b, backslash: 0x5c, close: 0x5d, openObject: 0x7b, closeObject: 0x7d, lineFeed: 0x0a };

/** Finds where the elements of an array begin and end: at commas outside of strings and inner brackets. */
class ArrayElements {
  readonly #file: string;
  #line = 1;
  #state: "before" | "inside" | "after" = "before";
  /** Of brackets within the element. */
  #depth = 0;
  #inString = false;
  #escaped = false;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Of the element's first character; undefined before it has come. */
  #startLine: number | undefined;
  #elements = 0;

  constructor(file: string) {
    this.#file = file;
  }

  push(piece: Buffer): SourceRecord[] {
    const records: SourceRecord[] = [];
    let start = 0;
    for (let at = 0; at < piece.length; at++) {
      const code = piece[at]!;
      if (code === CODE.lineFeed) this.#line++;
      if (this.#state !== "inside") {
        this.#outside(code);
        start = at + 1;
      } else if (this.#inString) this.#string(code);
      else if (this.#depth === 0 && (code === CODE.comma || code === CODE.close)) {
        this.#hold(piece.subarray(start, at));
        this.#finish(code, records);
        start = at + 1;
      } else this.#structure(code);
    }
    if (this.#state === "inside") this.#hold(piece.subarray(start));
    return records;
  }

  /** @throws Fault file_malformed when the array has no end */
  end(): void {
    if (this.#state === "before") return; // Nothing but blanks: no records.
    if (this.#state === "inside") throw lineFault(this.#file, this.#line, `the file ends within the array${this.#begun()}`);
  }

  #outside(code: number): void {
    if (isBlank(code)) return;
    if (this.#state === "before" && code === CODE.open) this.#state = "inside";
    else if (this.#state === "before") throw lineFault(this.#file, this.#line, "a JSON file must be an array of objects, [{…}, {…}]");
    else throw lineFault(this.#file, this.#line, "there is something after the array's end");
  }

  #string(code: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (code === CODE.backslash) this.#escaped = true;
    else if (code === CODE.quote) this.#inString = false;
  }

  #structure(code: number): void {
    if (this.#startLine === undefined && !isBlank(code)) this.#startLine = this.#line;
    if (code === CODE.quote) this.#inString = true;
    else if (code === CODE.open || code === CODE.openObject) this.#depth++;
    else if (code === CODE.close || code === CODE.closeObject) this.#depth = Math.max(0, this.#depth - 1);
  }

  #hold(part: Buffer): void {
    if (part.length === 0) return;
    this.#heldBytes += part.length;
    if (this.#heldBytes > RECORD_BYTES_MAX) {
      const why = `an element is longer than ${RECORD_BYTES_MAX} bytes, or lacks a quote or a bracket${this.#begun()}`;
      throw lineFault(this.#file, this.#startLine ?? this.#line, why);
    }
    this.#held.push(part);
  }

  #finish(code: number, records: SourceRecord[]): void {
    const text = Buffer.concat(this.#held).toString();
    const isLast = code === CODE.close;
    const isEmptyArray = isLast && this.#elements === 0 && text.trim() === "";
    if (!isEmptyArray) records.push(jsonRecord(this.#startLine ?? this.#line, text));
    this.#elements++;
    this.#held = [];
    this.#heldBytes = 0;
    this.#startLine = undefined;
    if (isLast) this.#state = "after";
  }

  #begun(): string {
    return this.#startLine === undefined ? "" : `, in the element that begins on line ${this.#startLine}`;
  }
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
