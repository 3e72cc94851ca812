import { Ajv, type ErrorObject } from "ajv";
import { evaluate } from "./cel.ts";

/** A structural schema, as a CustomResourceDefinition has it. */
export interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly default?: unknown;
  readonly "x-kubernetes-validations"?: readonly { readonly rule: string; readonly message?: string }[];
  readonly [keyword: string]: unknown;
}

/** Why `value` does not fit, one sentence each; the CEL rules are asked only when the schema fits, as in a real server. */
export function compileSchema(schema: Schema): (value: unknown, old: unknown) => readonly string[] {
  const ajv = new Ajv({ allErrors: true, strict: false });
  ajv.addFormat("int64", { type: "number", validate: Number.isSafeInteger });
  ajv.addFormat("int32", { type: "number", validate: (value: number) => Number.isInteger(value) && Math.abs(value) < 2 ** 31 });
  ajv.addFormat("date-time", (text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text));
  const valid = ajv.compile(schema);
  return (value, old) => (valid(value) ? brokenRules(schema, value, old, "") : (valid.errors ?? []).map(sentence));
}

/** Without the fields that the schema does not know. */
export function prune(schema: Schema, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => (schema.items ? prune(schema.items, item) : item));
  if (typeof value !== "object" || value === null || !schema.properties) return value;
  const known = Object.entries(value).filter(([field]) => field in schema.properties!);
  return Object.fromEntries(known.map(([field, item]) => [field, prune(schema.properties![field]!, item)]));
}

/** A rule that names `oldSelf` is one about a change: it says nothing of what is new. */
function brokenRules(schema: Schema, value: unknown, old: unknown, path: string): readonly string[] {
  if (value === undefined) return [];
  const broken: string[] = [];
  for (const { rule, message } of schema["x-kubernetes-validations"] ?? []) {
    if (/\boldSelf\b/.test(rule) && old === undefined) continue;
    if (evaluate(rule, { self: value, oldSelf: old }) !== true) broken.push(`${path || "<root>"}: ${message ?? rule}`);
  }
  for (const [field, inner] of Object.entries(schema.properties ?? {})) {
    broken.push(...brokenRules(inner, fieldOf(value, field), fieldOf(old, field), `${path}.${field}`.replace(/^\./, "")));
  }
  return broken;
}

function fieldOf(value: unknown, field: string): unknown {
  return (value as Record<string, unknown> | undefined)?.[field];
}

function sentence({ instancePath, message }: ErrorObject): string {
  return `${instancePath.slice(1).replaceAll("/", ".") || "<root>"}: ${message}`;
}
