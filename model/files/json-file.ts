import type * as z from "zod";
import { type Bytes, isFault, shapeWords } from "#kernel";
import { type Links, readWholeFile } from "./bounded-file.ts";
import { fileFault } from "./file-fault.ts";
import { JsonError, type JsonObject, type JsonValue, parseStrictJson } from "./strict-json.ts";

/** UTF-8 bytes as text. Fault file_malformed for anything that is not UTF-8; a byte order mark stays, and is no JSON. */
export function decodeUtf8(content: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch (cause) {
    throw fileFault("file_malformed", file, "not valid UTF-8", { cause });
  }
}

/** UTF-8 JSON bytes that hold one object. Fault file_malformed otherwise. */
export function decodeJsonObject(content: Uint8Array, file: string, numbers: "integers" | "any" = "any"): JsonObject {
  const text = decodeUtf8(content, file);
  let value: JsonValue;
  try {
    value = parseStrictJson(text, { numbers });
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw fileFault("file_malformed", file, `not valid JSON: ${cause.message}`, { cause });
  }
  if (!isJsonObject(value)) throw fileFault("file_malformed", file, "not a JSON object");
  return value;
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A JSON file with one object. Faults: file_missing, file_malformed. */
export async function readJsonObject(file: string, sizeBytesMax: Bytes, links: Links): Promise<JsonObject> {
  return decodeJsonObject(await readWholeFile(file, sizeBytesMax, links), file);
}

/** The result of `reading`, or undefined when the file it reads does not exist. */
export async function unlessMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isFault(error, "file_missing")) return undefined;
    throw error;
  }
}

/** `value` as `schema` says. Fault file_malformed that names the file and the first field that is wrong. */
export function checkShape<T>(schema: z.ZodType<T>, value: JsonValue, file: string): T {
  const result = schema.safeParse(value, { error: shapeWords });
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = issue?.path.join(".") ?? "";
  throw fileFault("file_malformed", file, `${field}: ${issue?.message}`, { field });
}
