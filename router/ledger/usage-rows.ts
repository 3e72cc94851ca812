import { asKeyId, asProjectId, asTenantId, DAY, Fault, HOUR, MINUTE, type Millis } from "#kernel";
import type { Journal } from "#state";
import type { UsageDimension, UsageQuery, UsageRow } from "./contract.ts";
import { dayStartOf, type Measure, parseUsageCounter, type UsageCounter } from "./usage-counters.ts";

/** Days whose counters are read at a time: a busy tenant has some ten thousand in each. */
const DAYS_AT_ONCE = 7;

/** The columns of time, and how wide they are. */
const WIDTHS: Readonly<Partial<Record<UsageDimension, Millis>>> = { day: DAY, hour: HOUR, minute: MINUTE };

/** One row that is being summed up. */
interface Sums {
  /** The asked-for dimensions, in the order of the question. */
  readonly key: readonly (string | number | null)[];
  readonly measures: Record<Measure, bigint>;
}

/** Sums the counters of these books; rows in the order of the dimensions asked for. @throws Fault parameter_invalid */
export async function readUsage(journal: Journal, books: readonly string[], query: UsageQuery): Promise<readonly UsageRow[]> {
  const by = [...new Set(query.by)];
  if (by.filter((dimension) => WIDTHS[dimension] !== undefined).length > 1)
    throw new Fault("parameter_invalid", "usage is asked for by at most one of day, hour and minute", { detail: { field: "by" } });
  const from = Math.floor((query.since ?? 0) / MINUTE) * MINUTE;
  const to = query.until === undefined ? Number.POSITIVE_INFINITY : Math.floor(query.until / MINUTE) * MINUTE;
  const rows = new Map<string, Sums>();
  for (const book of books) {
    for await (const [dayStart, name, amount] of usageCounters(journal, book, from, to)) {
      const counter = parseUsageCounter(name);
      const at = dayStart + counter.minute * MINUTE;
      if (at >= from && at < to)
        addTo(
          rows,
          by.map((dimension) => dimensionOf(dimension, book, counter, at)),
          counter.measure,
          amount,
        );
    }
  }
  const present = [...rows.values()].filter(({ measures }) => measures.requests !== 0n);
  return present.sort((one, other) => compareKeys(one.key, other.key)).map((sums) => usageRow(by, sums));
}

/** Of the days that touch the time asked for: where the day begins, the counter's name, and its amount. */
async function* usageCounters(journal: Journal, book: string, from: Millis, to: Millis): AsyncGenerator<readonly [Millis, string, bigint]> {
  const days = (await journal.groups(book)).flatMap((group) => {
    const start = dayStartOf(group);
    return start !== undefined && start + DAY > from && start < to ? [{ group, start }] : [];
  });
  for (let first = 0; first < days.length; first += DAYS_AT_ONCE) {
    const some = days.slice(first, first + DAYS_AT_ONCE);
    const counters = await journal.counters(
      book,
      some.map(({ group }) => group),
    );
    for (const [index, { start }] of some.entries()) {
      for (const [name, amount] of counters[index]!) yield [start, name, amount];
    }
  }
}

function addTo(rows: Map<string, Sums>, key: Sums["key"], measure: Measure, amount: bigint): void {
  const id = JSON.stringify(key);
  const row = rows.get(id) ?? { key, measures: { requests: 0n, prompt: 0n, cached: 0n, completion: 0n, training: 0n, nanoUsd: 0n } };
  row.measures[measure] += amount;
  rows.set(id, row);
}

function dimensionOf(dimension: UsageDimension, book: string, counter: UsageCounter, at: Millis): string | number | null {
  switch (dimension) {
    case "tenant":
      return book;
    case "project":
      return counter.projectId;
    case "key":
      return counter.keyId;
    case "model":
      return counter.model;
    case "base":
      return counter.baseName;
    case "price":
      return counter.priceVersion;
    default: {
      const widthMs = WIDTHS[dimension]!;
      return Math.floor(at / widthMs) * widthMs;
    }
  }
}

/** What is not known comes first. */
function compareKeys(one: Sums["key"], other: Sums["key"]): number {
  for (const [index, value] of one.entries()) {
    const against = other[index]!;
    if (value === against) continue;
    if (value === null) return -1;
    if (against === null) return 1;
    return value < against ? -1 : 1;
  }
  return 0;
}

/** Sets the dimension of a row; what is not known stays away. */
const SETTERS: Readonly<Record<UsageDimension, (value: string | number) => Partial<UsageRow>>> = {
  tenant: (value) => ({ tenantId: asTenantId(String(value)) }),
  project: (value) => ({ projectId: asProjectId(String(value)) }),
  key: (value) => ({ keyId: asKeyId(String(value)) }),
  model: (value) => ({ model: String(value) }),
  base: (value) => ({ base: String(value) }),
  price: (value) => ({ priceVersion: Number(value) }),
  day: (value) => ({ start: Number(value) }),
  hour: (value) => ({ start: Number(value) }),
  minute: (value) => ({ start: Number(value) }),
};

function usageRow(by: readonly UsageDimension[], { key, measures }: Sums): UsageRow {
  const dimensions = by.map((dimension, index) => (key[index] === null ? {} : SETTERS[dimension](key[index]!)));
  return {
    ...(Object.assign({}, ...dimensions) as Partial<UsageRow>),
    requests: Number(measures.requests),
    promptTokens: Number(measures.prompt),
    cachedTokens: Number(measures.cached),
    completionTokens: Number(measures.completion),
    trainedTokens: Number(measures.training),
    amount: measures.nanoUsd,
  };
}
