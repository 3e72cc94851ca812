import { checkedBytes } from "./checked-bytes.ts";
import { readLines } from "./lines.ts";
import { RECORD_BYTES_MAX, type RecordReader } from "./record.ts";

/** Every line is a completion without a prompt. */
export const readTxt: RecordReader = async function* (bytes, file) {
  for await (const lines of readLines(checkedBytes(bytes, file))) {
    yield lines.map(({ line, text }) =>
      text === undefined
        ? { line, problem: `is longer than the ${RECORD_BYTES_MAX} bytes that a record may have` }
        : { line, fields: { prompt: "", completion: text } },
    );
  }
};
