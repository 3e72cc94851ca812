import { isUtf8 } from "node:buffer";
import { Fault } from "#kernel";
import { lineFault } from "./record.ts";

const LINE_FEED = 0x0a;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** Beginnings by which a file that is no UTF-8 text can be told. */
const SIGNATURES: readonly (readonly [readonly number[], string])[] = [
  [[0x50, 0x4b, 0x03, 0x04], "is a zip archive; a workbook of Excel must be named .xlsx"],
  [[0x1f, 0x8b], "is compressed with gzip; decompress it first"],
  [[0xff, 0xfe], "is UTF-16; save it as UTF-8"],
  [[0xfe, 0xff], "is UTF-16; save it as UTF-8"],
];

/**
 * Passes on the bytes of a text file, without a byte order mark at its beginning, cut so that no character is torn.
 *
 * @throws Fault file_malformed, with the line, for bytes that are not UTF-8 and for NUL, which no text has
 */
export async function* checkedBytes(bytes: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<Buffer> {
  let line = 1;
  let rest: Buffer = Buffer.alloc(0);
  let begun = false;
  for await (const piece of bytes) {
    let whole = rest.length === 0 ? Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength) : Buffer.concat([rest, piece]);
    if (!begun) {
      if (whole.length < 4) {
        rest = whole;
        continue;
      }
      whole = begin(whole, file);
      begun = true;
    }
    const end = whole.length - tornBytes(whole);
    rest = Buffer.from(whole.subarray(end));
    if (end === 0) continue;
    const text = whole.subarray(0, end);
    line = checkText(text, line, file);
    yield text;
  }
  if (rest.length === 0) return;
  if (!begun) rest = begin(rest, file);
  checkText(rest, line, file);
  yield rest;
}

function begin(bytes: Buffer, file: string): Buffer {
  for (const [signature, why] of SIGNATURES) {
    if (signature.every((byte, index) => bytes[index] === byte)) throw new Fault("file_malformed", `${file} ${why}`, { detail: { file } });
  }
  return bytes.subarray(0, 3).equals(BYTE_ORDER_MARK) ? bytes.subarray(3) : bytes;
}

/** How many bytes at the end are the beginning of a character that goes on. */
function tornBytes(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

/** The number of the line on which the text ends. */
function checkText(text: Buffer, line: number, file: string): number {
  const wrong = !isUtf8(text);
  if (!wrong && !text.includes(0)) return line + countLineFeeds(text);
  for (let start = 0, at = line; start < text.length; at++) {
    const feed = text.indexOf(LINE_FEED, start);
    const end = feed < 0 ? text.length : feed + 1;
    const own = text.subarray(start, end);
    if (own.includes(0)) throw lineFault(file, at, "has a NUL byte; this is not a text file");
    if (wrong && !isUtf8(own)) throw lineFault(file, at, "is not valid UTF-8; save the file as UTF-8");
    start = end;
  }
  throw lineFault(file, line, "is not valid UTF-8; save the file as UTF-8");
}

function countLineFeeds(text: Buffer): number {
  let count = 0;
  for (let at = text.indexOf(LINE_FEED); at >= 0; at = text.indexOf(LINE_FEED, at + 1)) count++;
  return count;
}
