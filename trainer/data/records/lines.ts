import { RECORD_BYTES_MAX } from "./record.ts";

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** One line without its end; `text` is undefined when it is longer than a record may be. */
export interface Line {
  readonly line: number;
  readonly text: string | undefined;
}

/** Cuts UTF-8 into lines, which end with LF, CR LF or CR, in any mixture. Holds one line at most, and that bounded. */
export async function* readLines(bytes: AsyncIterable<Buffer>): AsyncGenerator<readonly Line[]> {
  const splitter = new LineSplitter();
  for await (const piece of bytes) yield splitter.push(piece);
  yield splitter.end();
}

class LineSplitter {
  #line = 1;
  /** The beginning of a line whose end has not come yet. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #tooLong = false;
  /** The last piece ended with CR: an LF that follows belongs to it. */
  #afterReturn = false;

  push(piece: Buffer): Line[] {
    const lines: Line[] = [];
    let start = this.#afterReturn && piece[0] === LINE_FEED ? 1 : 0;
    if (piece.length > 0) this.#afterReturn = piece.at(-1) === CARRIAGE_RETURN;
    let nextReturn = indexOrEnd(piece, CARRIAGE_RETURN, start);
    let nextFeed = indexOrEnd(piece, LINE_FEED, start);
    for (;;) {
      const end = Math.min(nextReturn, nextFeed);
      this.#hold(piece.subarray(start, end));
      if (end === piece.length) return lines;
      lines.push(this.#take());
      start = end === nextReturn && piece[end + 1] === LINE_FEED ? end + 2 : end + 1;
      if (nextReturn < start) nextReturn = indexOrEnd(piece, CARRIAGE_RETURN, start);
      if (nextFeed < start) nextFeed = indexOrEnd(piece, LINE_FEED, start);
    }
  }

  /** What follows the last line end, unless it is nothing. */
  end(): Line[] {
    return this.#heldBytes > 0 || this.#tooLong ? [this.#take()] : [];
  }

  #hold(part: Buffer): void {
    if (part.length === 0 || this.#tooLong) return;
    this.#heldBytes += part.length;
    if (this.#heldBytes > RECORD_BYTES_MAX) {
      this.#tooLong = true;
      this.#held = [];
    } else this.#held.push(part);
  }

  #take(): Line {
    const text = this.#tooLong ? undefined : this.#held.length === 1 ? this.#held[0]!.toString() : Buffer.concat(this.#held).toString();
    const taken = { line: this.#line++, text };
    this.#held = [];
    this.#heldBytes = 0;
    this.#tooLong = false;
    return taken;
  }
}

function indexOrEnd(bytes: Buffer, byte: number, from: number): number {
  const found = bytes.indexOf(byte, from);
  return found < 0 ? bytes.length : found;
}
