export * from "./bounded-file.ts";
export * from "./file-fault.ts";
export * from "./json-file.ts";
export type { JsonObject, JsonValue } from "./strict-json.ts";
