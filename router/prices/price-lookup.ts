import { Fault } from "#kernel";
import type { Records } from "#state";
import { type CatalogView, type PriceRecord, RECORD_SHAPES, recordKey } from "../catalog/index.ts";

/** The price list of a version; undefined when the store is sure that there is none. */
export type PriceLookup = (version: number) => Promise<PriceRecord | undefined>;

/** From memory; a version that was added elsewhere a moment ago, from the store. */
export function priceLookup(view: CatalogView, records: Records): PriceLookup {
  return async (version) => view.get("price", String(version)) ?? readPrice(records, version);
}

async function readPrice(records: Records, version: number): Promise<PriceRecord | undefined> {
  const key = recordKey("price", String(version));
  const record = await records.get(key);
  if (!record) return undefined;
  const read = RECORD_SHAPES.price.safeParse(record.value);
  // It exists, so what refers to it must not be refused for good.
  if (!read.success) throw new Fault("store_unreachable", `the record ${key} does not fit its shape`, { cause: read.error });
  return read.data;
}
