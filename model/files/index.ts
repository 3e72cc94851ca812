export * from "./bounded-file.ts";
export * from "./file-fault.ts";
export * from "./json-file.ts";
export { JsonError, type JsonObject, type JsonValue, parseStrictJson } from "./strict-json.ts";
