import fc from "fast-check";
import type { StateStore } from "../../contract.ts";

/** One call, or a step of time; the same for every store. */
export interface Operation {
  /** What it does, to be read in a counterexample. */
  readonly text: string;
  /** Looks at what it is based on. What it gives is one call, which can be made again. */
  prepare(store: StateStore): Promise<() => Promise<unknown>>;
}

/** Names that a store could take for something else. */
const NAMES = ["acme", "{acme}", "a}:head", "records", "lease:a", "__proto__", "%7B", "ä\n三"] as const;
const name = fc.constantFrom(...NAMES);
/** Small numbers meet often; large ones are where arithmetic goes wrong. */
const count = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constantFrom(2 ** 31, 2 ** 53 - 1));
const durationMs = fc.oneof(fc.integer({ min: 1, max: 2_000 }), fc.constantFrom(60_000, 3_600_000));
const money = fc.oneof(fc.bigInt({ min: 0n, max: 100n }), fc.constantFrom(2n ** 53n - 1n, 2n ** 52n));
const amount = fc.oneof(
  fc.bigInt({ min: -100n, max: 100n }),
  fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n), 10n ** 9n, -(10n ** 9n), 10n ** 18n),
);
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

type Call<T> = (store: StateStore, input: T) => Promise<unknown>;

function operation<T>(what: string, input: fc.Arbitrary<T>, call: Call<T>): fc.Arbitrary<Operation> {
  return basedOperation(what, input, async (store, value) => () => call(store, value));
}

function basedOperation<T>(
  what: string,
  input: fc.Arbitrary<T>,
  prepare: (store: StateStore, input: T) => Promise<() => Promise<unknown>>,
): fc.Arbitrary<Operation> {
  return input.map((value) => ({ text: `${what} ${fc.stringify(value)}`, prepare: (store) => prepare(store, value) }));
}

const records = [
  operation(
    "putIf",
    fc.record({ key: name, value: fc.jsonValue({ maxDepth: 1 }), version: maybe(fc.integer({ min: 1, max: 12 })) }),
    (store, ask) => store.records.putIf(ask.key, ask.value, ask.version),
  ),
  basedOperation(
    "put over what is there",
    fc.record({ key: name, value: fc.jsonValue({ maxDepth: 1 }) }),
    async (store, { key, value }) => {
      const version = (await store.records.get(key))?.version;
      return () => store.records.putIf(key, value, version);
    },
  ),
  operation("removeIf", fc.record({ key: name, version: fc.integer({ min: 1, max: 12 }) }), (store, ask) =>
    store.records.removeIf(ask.key, ask.version),
  ),
  operation("get", name, (store, key) => store.records.get(key)),
  operation("list", fc.constantFrom("", "a", "{", "%", "ä"), (store, prefix) => store.records.list(prefix)),
];

const change = fc.record({
  book: name,
  ahead: fc.constantFrom(0, 0, 0, 1, -1),
  lines: fc.array(fc.record({ text: fc.string({ unit: "grapheme" }), hash: name }), { minLength: 1, maxLength: 3 }),
  values: fc.array(fc.tuple(name, fc.string()), { maxLength: 3 }).map((entries) => new Map(entries)),
  counters: fc.array(fc.record({ group: name, name, amount }), { maxLength: 4 }),
  releases: fc.array(name, { maxLength: 2 }),
});

const journal = [
  basedOperation("commit", change, async (store, { ahead, ...rest }) => {
    const [page] = await store.journal.read([{ book: rest.book, keys: [] }]);
    // A conflict first: then the book is in the index, and the reply that is lost is that of the commit itself.
    await store.journal.commit([{ ...rest, basedOn: Number.MAX_SAFE_INTEGER }]);
    return () => store.journal.commit([{ ...rest, basedOn: Math.max(0, page!.head.position + ahead) }]);
  }),
  operation("read", fc.array(fc.record({ book: name, keys: fc.array(name) }), { maxLength: 3 }), (store, asks) => store.journal.read(asks)),
  operation("lines", fc.record({ book: name, from: fc.integer({ min: 1, max: 6 }), count: fc.integer({ min: 1, max: 5 }) }), (store, ask) =>
    store.journal.lines(ask.book, ask.from, ask.count),
  ),
  operation("counters", fc.record({ book: name, groups: fc.array(name, { maxLength: 3 }) }), (store, ask) =>
    store.journal.counters(ask.book, ask.groups),
  ),
  operation("groups", name, (store, book) => store.journal.groups(book)),
  operation("books", fc.constant(undefined), (store) => store.journal.books()),
];

const take = fc.record(
  {
    account: name,
    id: name,
    draws: fc.uniqueArray(fc.record({ meter: name, amount: count, limit: count, windowMs: durationMs }), {
      maxLength: 3,
      selector: (draw) => draw.meter,
    }),
    lifeMs: durationMs,
    liveMax: fc.integer({ min: 0, max: 3 }),
    hold: fc.record({ amount: money, budget: money, spent: fc.record({ group: name, name }) }),
  },
  { requiredKeys: ["account", "id", "draws", "lifeMs"] },
);

const meters = [
  operation("take", take, (store, ask) => store.meters.take(ask)),
  operation(
    "settle",
    fc.record({
      account: name,
      id: name,
      used: fc.array(fc.tuple(name, count), { maxLength: 3 }).map((entries) => Object.fromEntries(entries)),
      hold: fc.constantFrom("ends" as const, "stays" as const),
    }),
    (store, ask) => store.meters.settle(ask.account, ask.id, ask.used, ask.hold),
  ),
  operation("live", name, (store, account) => store.meters.live(account)),
];

const leases = [
  operation("acquire", fc.record({ name, holder: name, termMs: durationMs }), (store, ask) =>
    store.leases.acquire(ask.name, ask.holder, ask.termMs),
  ),
  operation("release", fc.record({ name, holder: name }), (store, ask) => store.leases.release(ask.name, ask.holder)),
];

const answer = { account: name, key: name, holder: fc.constantFrom("one", "two") };
const answers = [
  operation("begin", fc.record({ ...answer, digest: fc.constantFrom("d", "e"), termMs: durationMs }), (store, ask) =>
    store.answers.begin(ask),
  ),
  operation("finish", fc.record({ ...answer, answer: fc.string(), keepMs: durationMs }), (store, ask) =>
    store.answers.finish(ask.account, ask.key, ask.holder, ask.answer, ask.keepMs),
  ),
  operation("abandon", fc.record(answer), (store, ask) => store.answers.abandon(ask.account, ask.key, ask.holder)),
];

/** Any call of any of the five contracts. Most names are one and the same, so that calls meet. */
export const operations: fc.Arbitrary<Operation> = fc.oneof(...records, ...journal, ...meters, ...leases, ...answers);

/** Everything that can be seen of a store. */
export async function everything(store: StateStore): Promise<unknown> {
  const books = await store.journal.books();
  return {
    records: await store.records.list(""),
    books: await Promise.all(
      NAMES.map(async (book) => ({
        page: await store.journal.read([{ book, keys: NAMES }]),
        lines: await store.journal.lines(book, 1, 1_000),
        groups: await store.journal.groups(book),
        counters: await store.journal.counters(book, NAMES),
        live: await store.meters.live(book),
      })),
    ),
    names: books,
  };
}
