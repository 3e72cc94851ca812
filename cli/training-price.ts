import type { Command } from "commander";
import { isFault, type NanoUsd, parseUsd } from "#kernel";
import { AdminServiceService, type PriceList } from "#proto";
import { withConnection } from "./connection.ts";

/** The plan of tenants of whom nothing else is said. */
const PLAN = "standard";
/** An estimate is not worth a longer wait. */
const ANSWER_MS = 2000;

/** What a million trained tokens of a base cost now; undefined when no cluster says it: none runs, or the key may not ask. */
export async function trainingPrice(baseName: string, command: Command): Promise<NanoUsd | undefined> {
  let lists: readonly PriceList[] = [];
  try {
    await withConnection(command, async ({ adminChannel, signal }) => {
      lists = (await adminChannel.unary(AdminServiceService.listPriceLists, {}, { signal, timeoutMs: ANSWER_MS })).priceLists;
    });
  } catch (error) {
    if (!isFault(error) || error.reason === "bug") throw error;
    return undefined; // The report says that the price is unknown.
  }
  const current = currentList(lists, Date.now());
  const prices = current?.bases[baseName] ?? current?.defaultPrices;
  return prices === undefined ? undefined : parseUsd(prices.training, "training");
}

/** The latest in force; of two of the same moment the later version. */
function currentList(lists: readonly PriceList[], now: number): PriceList | undefined {
  return lists
    .filter(({ plan, effectiveFromMs }) => plan === PLAN && effectiveFromMs <= now)
    .sort((a, b) => b.effectiveFromMs - a.effectiveFromMs || b.version - a.version)[0];
}
