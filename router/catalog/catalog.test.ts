import { expect, test, vi } from "vitest";
import { asBaseDigest, asDeltaDigest, asKeyId, asRequestId, asTenantId, Fault, sha256Hex, VirtualClock } from "#kernel";
import { openEmbeddedStore, type Records } from "#state";
import type { Principal } from "../contract.ts";
import { BASE_DIGEST, BASE_NAME, nodeView, snapshotOf } from "../testing/cluster-of.ts";
import { BaseDirectory } from "./base-directory.ts";
import { startCatalog } from "./catalog.ts";
import { deltaName } from "./model-name.ts";
import type { DeltaRecord } from "./record-shapes.ts";
import { resolveModel } from "./resolution.ts";
import { CatalogView } from "./view.ts";

const LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };
const REQUEST = asRequestId("req_1");

function delta(tenant: string, suffix: string): DeltaRecord {
  const digest = asDeltaDigest(sha256Hex(`${tenant} ${suffix}`));
  const what = { rank: 8, sizeBytes: 1, targets: ["q_proj"], createdAt: 1, pinned: false };
  return { digest, tenantId: asTenantId(tenant), baseDigest: BASE_DIGEST, baseName: BASE_NAME, suffix, ...what };
}

function principal(tenantId: string | undefined): Principal {
  const owner = tenantId === undefined ? undefined : asTenantId(tenantId);
  return { keyId: asKeyId("k"), tenantId: owner, projectId: undefined, scopes: new Set(["infer"]) };
}

/** A view with two tenants, a delta each, and an alias of the first. */
function names() {
  const view = new CatalogView();
  const [tax, copy, other] = [delta("acme", "tax"), delta("acme", "copy"), delta("zeta", "tax")];
  let version = 0;
  const put = (key: string, value: unknown) => view.apply({ key, value, version: ++version });
  for (const record of [tax, copy, other]) put(`delta/${record.digest}`, record);
  const targets = [
    { delta: tax.digest, weight: 9 },
    { delta: copy.digest, weight: 1 },
  ];
  put("alias/acme/main", { tenantId: "acme", name: "main", targets, createdAt: 1 });
  return { tax, copy, other, put, sources: { view, bases: new BaseDirectory(view, () => snapshotOf([nodeView("a")])) } };
}

test("a base is known from what nodes report, and from its record when nobody reports it", () => {
  const { sources, put } = names();
  expect(resolveModel(sources, principal("acme"), BASE_NAME, REQUEST)).toMatchObject({
    model: BASE_NAME,
    baseDigest: BASE_DIGEST,
    delta: undefined,
  });
  const digest = asBaseDigest("b".repeat(64));
  const rest = {
    architecture: "llama",
    contextTokensMax: 1,
    vocabularySize: 1,
    parameterCount: 1,
    weightType: "float32",
    directory: "/b",
    createdAt: 1,
  };
  put("base/other", { name: "other", digest, ...rest });
  expect(resolveModel(sources, principal("acme"), "other", REQUEST).baseDigest).toBe(digest);
});

test("a delta is found by its full name", () => {
  const { sources, tax } = names();
  const target = resolveModel(sources, principal("acme"), deltaName(tax), REQUEST);
  expect(deltaName(tax)).toBe(`ft:demo-base:acme:tax:${tax.digest.slice(0, 8)}`);
  expect(target).toMatchObject({
    model: deltaName(tax),
    baseName: BASE_NAME,
    delta: { digest: tax.digest, tenantId: "acme", baseDigest: BASE_DIGEST },
  });
});

test("what belongs to another tenant is told apart from what does not exist by nothing", () => {
  const { sources, tax } = names();
  const fault = (name: string) => {
    try {
      resolveModel(sources, principal("zeta"), name, REQUEST);
      return undefined;
    } catch (error) {
      const { reason, message, detail, retry } = error as Fault;
      return { reason, message: message.replace(name, "…"), detail: JSON.stringify(detail).replace(name, "…"), retry };
    }
  };
  const unknown = fault("ft:demo-base:acme:nothing:00000000");
  expect(unknown?.reason).toBe("model_unknown");
  for (const foreign of [deltaName(tax), "acme/main", tax.digest]) expect(fault(foreign)).toEqual(unknown);
});

test("a split alias sends requests by weight, and one request always the same way", () => {
  const { sources, tax } = names();
  const choose = (index: number) => resolveModel(sources, principal("acme"), "acme/main", asRequestId(`req_${index}`)).model;
  const chosen = Array.from({ length: 2000 }, (_, index) => choose(index));
  const share = chosen.filter((model) => model === deltaName(tax)).length / chosen.length;
  expect(share).toBeGreaterThan(0.87);
  expect(share).toBeLessThan(0.93);
  expect(Array.from({ length: 2000 }, (_, index) => choose(index))).toEqual(chosen);
});

test("an operator may say every name", () => {
  const { sources, other } = names();
  expect(resolveModel(sources, principal(undefined), deltaName(other), REQUEST).delta?.tenantId).toBe("zeta");
});

test("a record that does not fit its shape counts as absent, also when it did before", () => {
  const { sources, tax, put } = names();
  expect(put(`delta/${tax.digest}`, { ...tax, rank: -1 })).toMatchObject({ kind: "malformed" });
  expect(sources.view.get("delta", tax.digest)).toBeUndefined();
  expect(sources.view.deltaNamed(undefined, deltaName(tax))).toBeUndefined();
  expect([...sources.view.of("delta", tax.tenantId)].map((record) => record.suffix)).toEqual(["copy"]);
});

test("an older change does not undo a newer one", () => {
  const view = new CatalogView();
  view.apply({ key: "tenant/acme", value: { id: "acme", createdAt: 2 }, version: 2 });
  view.apply({ key: "tenant/acme", value: { id: "acme", createdAt: 1 }, version: 1 });
  expect(view.get("tenant", "acme")?.createdAt).toBe(2);
});

test("the catalog follows the store, and finds what it missed after the watch broke", async () => {
  const clock = new VirtualClock();
  const store = await openEmbeddedStore(":memory:", { clock });
  const put = async (id: string) => store.records.putIf(`tenant/${id}`, { id, createdAt: 1 }, undefined);
  await put("one");
  await put("two");
  const breakable = breakableWatch(store.records);
  await using catalog = await startCatalog({ records: breakable.records, clock, log: LOG });
  const known = () => [...catalog.view.all("tenant")].map((tenant) => tenant.id).sort();
  expect(known()).toEqual(["one", "two"]);
  await put("three");
  await vi.waitFor(() => expect(known()).toEqual(["one", "three", "two"]));
  breakable.break();
  await clock.advance(0);
  await store.records.removeIf("tenant/one", (await store.records.get("tenant/one"))!.version);
  await put("four");
  await clock.advance(2000);
  await vi.waitFor(() => expect(known()).toEqual(["four", "three", "two"]));
});

test("a change is made on top of someone else's", async () => {
  const clock = new VirtualClock();
  const store = await openEmbeddedStore(":memory:", { clock });
  await using one = await startCatalog({ records: store.records, clock, log: LOG });
  await using other = await startCatalog({ records: store.records, clock, log: LOG });
  const record = delta("acme", "tax");
  await one.create("delta", record.digest, record);
  await Promise.all([
    one.change("delta", record.digest, (old) => ({ ...old, rank: old.rank + 1 })),
    other.change("delta", record.digest, (old) => ({ ...old, rank: old.rank + 1 })),
  ]);
  expect((await store.records.get(`delta/${record.digest}`))?.value).toMatchObject({ rank: 10 });
});

/** The same records, with watches that can be cut. */
function breakableWatch(records: Records) {
  let cut = new AbortController();
  const wrapped: Records = {
    get: (key) => records.get(key),
    putIf: (key, value, version) => records.putIf(key, value, version),
    removeIf: (key, version) => records.removeIf(key, version),
    list: (prefix) => records.list(prefix),
    async *watch(prefix, signal) {
      yield* records.watch(prefix, AbortSignal.any([signal, cut.signal]));
      if (cut.signal.aborted) throw new Fault("store_unreachable", "cut");
    },
  };
  return {
    records: wrapped,
    break() {
      cut.abort();
      cut = new AbortController();
    },
  };
}
