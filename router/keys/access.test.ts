import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { asTenantId, HOUR, isFault, VirtualClock } from "#kernel";
import { openEmbeddedStore } from "#state";
import { type Catalog, startCatalog } from "../catalog/index.ts";
import { Access } from "./access.ts";
import { KeyUses, keepKeyUses } from "./key-uses.ts";
import { issueKey, revokeKey } from "./keys.ts";
import { createTenant, resumeTenant, suspendTenant } from "./tenants.ts";

const LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Two routers' views of one store. */
async function setUp() {
  const clock = new VirtualClock();
  const store = await openEmbeddedStore(":memory:", { clock });
  const side = async () => {
    const catalog = await startCatalog({ records: store.records, clock, log: LOG });
    const uses = new KeyUses(catalog);
    return { catalog, uses, access: new Access({ view: catalog.view, clock, uses }) };
  };
  const [here, there] = [await side(), await side()];
  await createTenant(here.catalog, clock, "acme");
  const newKey = (catalog: Catalog) =>
    issueKey(
      catalog,
      { clock, randomSecret: (sizeBytes) => randomBytes(sizeBytes) },
      { tenantId: asTenantId("acme"), projectId: "", name: "", scopes: ["infer"], expiresAt: undefined },
    );
  const [key, other] = [await newKey(here.catalog), await newKey(here.catalog)];
  await clock.advance(0);
  return { clock, store, here, there, key, other };
}

describe("what runs for a key", () => {
  test("ends everywhere when the key is revoked, and only what runs for that key", async () => {
    const { clock, here, there, key, other } = await setUp();
    const watched = [here, there].map(({ access }) => access.watch(access.authenticate(key.text)));
    const bystander = there.access.watch(there.access.authenticate(other.text));
    await revokeKey(here.catalog, clock, key.record.id);
    await clock.advance(0);
    for (const { signal } of watched) expect(isFault(signal.reason, "key_unknown")).toBe(true);
    expect(bystander.signal.aborted).toBe(false);
  });

  test("ends everywhere when the tenant is suspended, and may begin again when it is resumed", async () => {
    const { clock, here, there, key, other } = await setUp();
    const watched = [key, other].map(({ text }) => there.access.watch(there.access.authenticate(text)));
    await suspendTenant(here.catalog, clock, "acme");
    await clock.advance(0);
    for (const { signal } of watched) expect(isFault(signal.reason, "tenant_suspended")).toBe(true);
    expect(() => there.access.authenticate(key.text)).toThrow(/suspended/);
    await resumeTenant(here.catalog, "acme");
    await clock.advance(0);
    expect(there.access.watch(there.access.authenticate(key.text)).signal.aborted).toBe(false);
  });

  test("never begins when access was lost since the key was shown", async () => {
    const { clock, here, key } = await setUp();
    const principal = here.access.authenticate(key.text);
    await revokeKey(here.catalog, clock, key.record.id);
    expect(here.access.watch(principal).signal.aborted).toBe(true);
  });

  test("is forgotten when it has ended", async () => {
    const { clock, here, key } = await setUp();
    const watched = here.access.watch(here.access.authenticate(key.text));
    expect(here.access.runningFor(asTenantId("acme"))).toBe(1);
    watched[Symbol.dispose]();
    expect(here.access.runningFor(asTenantId("acme"))).toBe(0);
    await revokeKey(here.catalog, clock, key.record.id);
    expect(watched.signal.aborted).toBe(false);
  });
});

describe("the last use of a key", () => {
  test("is known to the minute where it was used, and elsewhere at most an hour later", async () => {
    const { clock, here, there, key } = await setUp();
    const stop = new AbortController();
    const kept = keepKeyUses(here.uses, { clock, log: LOG, stopping: stop.signal });
    await clock.advance(90_000);
    here.access.authenticate(key.text);
    const first = clock.now() - 30_000;
    expect(here.uses.lastAt(key.record.id)).toBe(first);
    expect(there.uses.lastAt(key.record.id)).toBeUndefined();
    await clock.advance(60_000);
    expect(there.uses.lastAt(key.record.id)).toBe(first);
    for (let minute = 0; minute < 60; minute++) {
      here.access.authenticate(key.text);
      await clock.advance(60_000);
    }
    expect(clock.now() - there.uses.lastAt(key.record.id)!).toBeLessThanOrEqual(HOUR);
    stop.abort();
    await kept;
  });

  test("costs at most one write an hour", async () => {
    const { clock, store, here, key } = await setUp();
    const versionNow = async () => (await store.records.get(`use/${key.record.id}`))?.version;
    const versions = new Set<number | undefined>();
    for (let minute = 0; minute < 120; minute++) {
      here.access.authenticate(key.text);
      await here.uses.write();
      versions.add(await versionNow());
      await clock.advance(60_000);
    }
    expect(versions.size).toBe(2);
  });

  test("is none of a key that was refused", async () => {
    const { here, key } = await setUp();
    expect(() => here.access.authenticate(`dp_${key.record.id}_${"0".repeat(48)}`)).toThrow(/not valid/);
    expect(here.uses.lastAt(key.record.id)).toBeUndefined();
  });
});
