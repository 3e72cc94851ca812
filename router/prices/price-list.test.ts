import fc from "fast-check";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { systemClock, VirtualClock } from "#kernel";
import { openEmbeddedStore } from "#state";
import { startCatalog } from "../catalog/index.ts";
import { addPriceList, formatPriceList, parsePriceList, priceLookup, priceVersionAt } from "./index.ts";
import type { PriceListWish } from "./price-list.ts";

const PRICES = { prompt: "0.15", cachedPrompt: "0.075", completion: "0.6", training: "3" };
const WISH: PriceListWish = {
  plan: "standard",
  defaultPrices: PRICES,
  bases: { "demo-base": { ...PRICES, prompt: "0.001" } },
  gpuHourUsd: "2.5",
};

async function openCatalog(clock: VirtualClock) {
  await using parts = new AsyncDisposableStack();
  const store = parts.use(await openEmbeddedStore(":memory:", { clock }));
  const open = async () => parts.use(await startCatalog({ records: store.records, clock, log: pino({ level: "silent" }) }));
  const [catalog, other] = [await open(), await open()];
  const owned = parts.move();
  return { store, catalog, other, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describe("a price list", () => {
  it("is whole nano-dollars per token, and reads back as it was written", () => {
    expect(parsePriceList(WISH)).toEqual({
      plan: "standard",
      default: { prompt: 150, cached: 75, completion: 600, training: 3_000 },
      bases: { "demo-base": { prompt: 1, cached: 75, completion: 600, training: 3_000 } },
      gpuHour: "2500000000",
    });
    const price = fc
      .integer({ min: 0, max: 10_000_000 })
      .map((thousandths) => `${Math.floor(thousandths / 1000)}.${String(thousandths % 1000).padStart(3, "0")}`);
    const prices = fc.record({ prompt: price, cachedPrompt: price, completion: price, training: price });
    fc.assert(
      fc.property(prices, fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/), prices, { maxKeys: 3 }), (defaultPrices, bases) => {
        const list = parsePriceList({ ...WISH, defaultPrices, bases });
        expect(parsePriceList(formatPriceList({ ...list, version: 1, effectiveFrom: 0 }))).toEqual(list);
      }),
    );
  });

  it("is refused by the name of the field that is wrong", () => {
    const wrong: Readonly<Record<string, PriceListWish>> = {
      plan: { ...WISH, plan: "Gold!" },
      default_prices: { ...WISH, defaultPrices: undefined },
      "default_prices.cached_prompt": { ...WISH, defaultPrices: { ...PRICES, cachedPrompt: "" } },
      "bases.demo-base.completion": { ...WISH, bases: { "demo-base": { ...PRICES, completion: "0.0005" } } },
      "bases.demo-base.prompt": { ...WISH, bases: { "demo-base": { ...PRICES, prompt: "-1" } } },
      "default_prices.training": { ...WISH, defaultPrices: { ...PRICES, training: "10001" } },
      bases: { ...WISH, bases: { "no base": PRICES } },
      gpu_hour_usd: { ...WISH, gpuHourUsd: "1e3" },
    };
    for (const [field, wish] of Object.entries(wrong)) {
      expect(() => parsePriceList(wish), field).toThrow(expect.objectContaining({ reason: "parameter_invalid", detail: { field } }));
    }
  });

  it("gets the next version, whoever adds at the same time, and counts from when it says", async () => {
    const clock = new VirtualClock();
    await using place = await openCatalog(clock);
    const { catalog, other, store } = place;
    const added = await Promise.all([catalog, other, catalog, other].map((to) => addPriceList({ catalog: to, clock }, WISH)));
    expect(added.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4]);
    const later = await addPriceList({ catalog, clock }, { ...WISH, effectiveFromMs: clock.now() + 1_000 });
    expect(later.version).toBe(5);
    expect(priceVersionAt(catalog.view, "standard", clock.now())).toBe(4);
    expect(priceVersionAt(catalog.view, "standard", clock.now() + 1_000)).toBe(5);
    expect(priceVersionAt(catalog.view, "gold", clock.now())).toBe(0);
    await clock.advance(2_000);
    await expect(addPriceList({ catalog, clock }, { ...WISH, effectiveFromMs: clock.now() - 1 })).rejects.toMatchObject({
      detail: { field: "effective_from_ms" },
    });

    const lookup = priceLookup(other.view, store.records); // Knows what the store knows, before its own view does.
    expect(await lookup(5)).toEqual(later);
    expect(await lookup(6)).toBeUndefined();
  });

  it("that cannot be read is no reason to refuse what refers to it for good", async () => {
    await using store = await openEmbeddedStore(":memory:", { clock: systemClock });
    await store.records.putIf("price/1", { version: "one" }, undefined);
    await using catalog = await startCatalog({ records: store.records, clock: systemClock, log: pino({ level: "silent" }) });
    await expect(priceLookup(catalog.view, store.records)(1)).rejects.toMatchObject({ reason: "store_unreachable" });
  });
});
