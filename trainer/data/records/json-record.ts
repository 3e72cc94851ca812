import { isJsonObject, JsonError, type JsonValue, parseStrictJson } from "#model";
import { RECORD_BYTES_MAX, type SourceRecord } from "./record.ts";

/** One JSON text as a record. A key that occurs twice is a problem: nobody knows which value was meant. */
export function jsonRecord(line: number, text: string | undefined): SourceRecord {
  if (text === undefined) return { line, problem: `is longer than the ${RECORD_BYTES_MAX} bytes that a record may have` };
  let value: JsonValue;
  try {
    value = parseStrictJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    return { line, problem: `is not valid JSON: ${error.message}` };
  }
  return isJsonObject(value) ? { line, fields: value } : { line, problem: "is not a JSON object" };
}
