export type * from "./base.ts";
export * from "./checkpoint/index.ts";
export type * from "./delta.ts";
export { isJsonObject, JsonError, type JsonObject, type JsonValue, parseStrictJson } from "./files/index.ts";
export * from "./graph/index.ts";
export * from "./peft/index.ts";
export { BASE_HEADER_LIMITS, readSafetensorsHeader, readTensorFloat32, writeSafetensors } from "./safetensors/index.ts";
export * from "./text/index.ts";
