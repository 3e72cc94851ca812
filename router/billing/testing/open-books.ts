import {
  asBaseDigest,
  asKeyId,
  asProjectId,
  asRequestId,
  asTenantId,
  type Claim,
  type Clock,
  type Millis,
  seededRandom,
  systemClock,
} from "#kernel";
import { openEmbeddedStore, type StateStore } from "#state";
import { CatalogView, type PriceRecord, recordKey } from "../../catalog/index.ts";
import { createLedger, type Ledger } from "../../ledger/index.ts";
import { type PriceLookup, priceLookup } from "../../prices/index.ts";

/** 2026-11-23 12:00 UTC. */
export const NOON: Millis = Date.UTC(2026, 10, 23, 12);

/** A real ledger over a store in memory, with price lists 1 to 3 of the plan "standard" (3 comes into force at noon). */
export interface Books extends AsyncDisposable {
  readonly store: StateStore;
  readonly ledger: Ledger;
  readonly view: CatalogView;
  readonly prices: PriceLookup;
  readonly clock: Clock;
  /** What the clock says from now on. */
  setNow(at: Millis): void;
}

const RATES = { prompt: 150, cached: 75, completion: 600, training: 3_000 };

function priceList(version: number, effectiveFrom: Millis, factor: number): PriceRecord {
  const rates = {
    prompt: RATES.prompt * factor,
    cached: RATES.cached * factor,
    completion: RATES.completion * factor,
    training: RATES.training,
  };
  const big = { ...rates, prompt: rates.prompt * 7, completion: rates.completion * 7 + 1 };
  return {
    version,
    plan: "standard",
    effectiveFrom,
    default: rates,
    bases: { "big-base": big },
    gpuHour: String(2_500_000_000n * BigInt(factor)),
  };
}

export const PRICE_LISTS = [priceList(1, 0, 1), priceList(2, NOON - 86_400_000, 2), priceList(3, NOON, 3)] as const;

export async function openBooks(): Promise<Books> {
  const store = await openEmbeddedStore(":memory:", { clock: systemClock });
  const view = new CatalogView();
  for (const list of PRICE_LISTS) {
    const key = recordKey("price", String(list.version));
    await store.records.putIf(key, list, undefined);
    view.apply({ key, value: list, version: 1 });
  }
  let now = NOON;
  const clock: Clock = { ...systemClock, now: () => now };
  const prices = priceLookup(view, store.records);
  const ledger = createLedger({ journal: store.journal, meters: store.meters, clock, random: seededRandom(1), price: prices });
  const setNow = (at: Millis) => {
    now = at;
  };
  return { store, ledger, view, prices, clock, setNow, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

/** A completed request as the router claims it; what is not said is the same for all. */
export function claimOf(
  requestId: string,
  wish: {
    tenant?: string;
    project?: string;
    key?: string;
    model?: string;
    base?: string;
    version?: number;
    at?: Millis;
    usage?: readonly [prompt: number, cached: number, completion: number, trained?: number];
    outcome?: Claim["outcome"];
  } = {},
): Claim {
  const [promptTokens, cachedTokens, completionTokens, trainedTokens] = wish.usage ?? [10, 4, 5];
  const tenant = wish.tenant ?? "acme";
  return {
    requestId: asRequestId(requestId),
    attempt: 1,
    tenantId: asTenantId(tenant),
    keyId: asKeyId(wish.key ?? "00000000000000aa"),
    projectId: asProjectId(wish.project ?? "default"),
    baseDigest: asBaseDigest("b".repeat(64)),
    baseName: wish.base ?? "demo-base",
    model: wish.model ?? `${tenant}/bot`,
    priceVersion: wish.version ?? 1,
    usage: { promptTokens, cachedTokens, completionTokens, trainedTokens },
    outcome: wish.outcome ?? "completed",
    admittedAt: wish.at ?? NOON,
  };
}
