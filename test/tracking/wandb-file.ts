import { readRecords } from "../../trainer/tracking/wandb/transaction-log.ts";
import { wireFields } from "../../trainer/tracking/wire-fields.ts";

/** Kinds of records by their field's number in W&B's schema. */
const KINDS: Readonly<Record<number, string>> = { 2: "history", 3: "summary", 8: "artifact", 17: "run", 18: "exit", 21: "header" };

export interface FileRecord {
  readonly kind: string;
  readonly num: number;
  readonly bytes: Uint8Array;
}

/** The records of a `.wandb` file. */
export function wandbRecords(file: Uint8Array): readonly FileRecord[] {
  return [...readRecords(file)].map(({ record }) => {
    const [num, body] = [...wireFields(record)];
    return { kind: KINDS[body!.number] ?? "other", num: num!.value[0]!, bytes: body!.value };
  });
}

/** The items of a record that holds names and values as JSON. */
export function recordItems(bytes: Uint8Array, field = 1): Record<string, unknown> {
  const items: Record<string, unknown> = {};
  for (const { number, value } of wireFields(bytes)) {
    if (number !== field) continue;
    const parts = Object.fromEntries([...wireFields(value)].map((part) => [part.number, Buffer.from(part.value).toString()]));
    items[parts[1]!] = JSON.parse(parts[16]!);
  }
  return items;
}
