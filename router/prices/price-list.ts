import { type Clock, Fault, formatUsd, type Millis, NAME_PATTERN, type NanoUsd, parseUsd } from "#kernel";
import type { Catalog, PriceRecord } from "../catalog/index.ts";

/** Dollars per million tokens, like "0.15", in whole thousandths. All four are said: a price that was forgotten is not a price of 0. */
export interface PricesWish {
  readonly prompt: string;
  readonly cachedPrompt: string;
  readonly completion: string;
  readonly training: string;
}

/** A price list as people write it; the wire's `PriceList` is one. */
export interface PriceListWish {
  readonly plan: string;
  /** Requests admitted from then on are priced by it. Absent or 0: from now on. */
  readonly effectiveFromMs?: Millis;
  readonly defaultPrices: PricesWish | undefined;
  /** By the base's name, where they differ. */
  readonly bases: Readonly<Record<string, PricesWish>>;
  /** Dollars; what an hour of one GPU costs. */
  readonly gpuHourUsd: string;
}

/** What a wish fixes; the rest of the record is given when it is added. */
export type PriceList = Pick<PriceRecord, "plan" | "default" | "bases" | "gpuHour">;

/** One nano-dollar per token, as dollars per million tokens: the finest step of a price. */
const NANO_PER_STEP = 1_000_000n;
/** $10,000 per million tokens. Ten times what anyone asks; with it no sum of a tenant comes near 64 bits. */
const RATE_MAX = 10_000_000n;
/** Of a list: one for every base that a cluster is likely to have, and some. */
const BASES_MAX = 1_000;
/** Somebody else may add a list at the same time; this many at once are a loop. */
const VERSION_TRIES_MAX = 16;

/** @throws Fault parameter_invalid, which names the field in the wire's spelling: `bases.demo-base.cached_prompt` */
export function parsePriceList(wish: PriceListWish): PriceList {
  if (!NAME_PATTERN.test(wish.plan)) throw invalid("plan", `plan is "${wish.plan}"; it must be a name like "standard"`);
  if (!wish.defaultPrices) throw invalid("default_prices", "default_prices is missing: what a base without prices of its own costs");
  const bases = Object.entries(wish.bases);
  if (bases.length > BASES_MAX) throw invalid("bases", `bases has ${bases.length} entries; ${BASES_MAX} are allowed`);
  for (const [name] of bases)
    if (!NAME_PATTERN.test(name)) throw invalid("bases", `bases has the key "${name}", which no base can be called`);
  const gpuHour = parseUsd(wish.gpuHourUsd, "gpu_hour_usd");
  if (gpuHour < 0n) throw invalid("gpu_hour_usd", "gpu_hour_usd is below zero");
  return {
    plan: wish.plan,
    default: parsePrices(wish.defaultPrices, "default_prices"),
    bases: Object.fromEntries(bases.map(([name, prices]) => [name, parsePrices(prices, `bases.${name}`)])),
    gpuHour: gpuHour.toString(),
  };
}

/** A price list as people read it. Exact: parsing it again gives the same. */
export function formatPriceList(price: PriceRecord): PriceListWish & { readonly version: number; readonly effectiveFromMs: Millis } {
  return {
    version: price.version,
    plan: price.plan,
    effectiveFromMs: price.effectiveFrom,
    defaultPrices: formatPrices(price.default),
    bases: Object.fromEntries(Object.entries(price.bases).map(([name, rates]) => [name, formatPrices(rates)])),
    gpuHourUsd: formatUsd(BigInt(price.gpuHour)),
  };
}

/** Nano-dollars per token as dollars per million tokens. */
export function formatRate(nanoPerToken: NanoUsd | number): string {
  return formatUsd(BigInt(nanoPerToken) * NANO_PER_STEP);
}

/**
 * Adds a price list as the next version, over all plans. None is ever changed: what a request was admitted under stays.
 *
 * @throws Fault parameter_invalid for a wish that is malformed or takes effect in the past, version_conflict when others
 * keep adding lists at the same time
 */
export async function addPriceList(
  deps: { readonly catalog: Pick<Catalog, "view" | "create">; readonly clock: Clock },
  wish: PriceListWish,
): Promise<PriceRecord> {
  const list = parsePriceList(wish);
  const now = deps.clock.now();
  const effectiveFrom = wish.effectiveFromMs || now;
  if (!Number.isSafeInteger(effectiveFrom) || effectiveFrom < now) {
    throw invalid(
      "effective_from_ms",
      `effective_from_ms is ${effectiveFrom}, which is past; requests admitted since then have their price`,
    );
  }
  let last = 0;
  for (const { version } of deps.catalog.view.all("price")) last = Math.max(last, version);
  for (let version = last + 1; version <= last + VERSION_TRIES_MAX; version++) {
    const added = await deps.catalog.create("price", String(version), { version, effectiveFrom, ...list });
    if (added) return added;
  }
  throw new Fault("version_conflict", "others keep adding price lists at the same time");
}

const FIELDS = { prompt: "prompt", cachedPrompt: "cached_prompt", completion: "completion", training: "training" } as const;

function parsePrices(wish: PricesWish, path: string): PriceRecord["default"] {
  const rate = (name: keyof PricesWish) => parseRate(wish[name], `${path}.${FIELDS[name]}`);
  return { prompt: rate("prompt"), cached: rate("cachedPrompt"), completion: rate("completion"), training: rate("training") };
}

function formatPrices(rates: PriceRecord["default"]): PricesWish {
  return {
    prompt: formatRate(rates.prompt),
    cachedPrompt: formatRate(rates.cached),
    completion: formatRate(rates.completion),
    training: formatRate(rates.training),
  };
}

/** Nano-dollars per token. */
function parseRate(text: string, field: string): number {
  const perMillion = parseUsd(text, field);
  const rate = perMillion / NANO_PER_STEP;
  if (perMillion % NANO_PER_STEP !== 0n) {
    throw invalid(field, `${field} is "${text}"; dollars per million tokens have at most three decimal places`);
  }
  if (rate < 0n || rate > RATE_MAX) throw invalid(field, `${field} is "${text}"; it must be from 0 to ${formatRate(RATE_MAX)}`);
  return Number(rate);
}

function invalid(field: string, message: string): Fault<"parameter_invalid"> {
  return new Fault("parameter_invalid", message, { detail: { field } });
}
