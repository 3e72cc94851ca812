import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { asTenantId, type Fault, VirtualClock } from "#kernel";
import { openEmbeddedStore } from "#state";
import { startCatalog } from "../catalog/index.ts";
import { authenticate } from "./authentication.ts";
import { createAdminKey, issueKey, revokeKey } from "./keys.ts";
import { createProject, listProjects } from "./projects.ts";
import { changeTenant, createTenant, resumeTenant, suspendTenant } from "./tenants.ts";

const LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };

async function setUp() {
  const clock = new VirtualClock();
  const deps = { clock, randomSecret: (sizeBytes: number) => randomBytes(sizeBytes) };
  const store = await openEmbeddedStore(":memory:", { clock });
  const catalog = await startCatalog({ records: store.records, clock, log: LOG });
  await createTenant(catalog, clock, "acme");
  const wish = { tenantId: asTenantId("acme"), projectId: "", name: "", scopes: ["infer"] as const, expiresAt: undefined };
  const who = (credential: string | undefined) => {
    try {
      return authenticate(catalog.view, credential, clock.now());
    } catch (error) {
      return (error as Fault).reason;
    }
  };
  return { clock, deps, store, catalog, wish, who };
}

describe("a key", () => {
  test("opens its tenant's door, with its scopes", async () => {
    const { catalog, deps, wish, who } = await setUp();
    const { record, text } = await issueKey(catalog, deps, wish);
    expect(text).toMatch(/^dp_[0-9a-f]{16}_[0-9a-f]{48}$/);
    expect(who(text)).toEqual({ keyId: record.id, tenantId: "acme", projectId: "default", scopes: new Set(["infer"]) });
  });

  test("belongs to a project of its tenant, and carries a note", async () => {
    const { catalog, clock, deps, wish, who } = await setUp();
    await createProject(catalog, clock, { tenantId: "acme", id: "chatbot" });
    const { record, text } = await issueKey(catalog, deps, { ...wish, projectId: "chatbot", name: "the web shop" });
    expect(record.name).toBe("the web shop");
    expect(who(text)).toMatchObject({ projectId: "chatbot" });
    await expect(issueKey(catalog, deps, { ...wish, projectId: "nothing" })).rejects.toMatchObject({
      reason: "resource_unknown",
      detail: { field: "project_id", resource: "nothing" },
    });
  });

  test("of a suspended tenant is told so, but only to who has it", async () => {
    const { catalog, clock, deps, wish, who } = await setUp();
    const { record, text } = await issueKey(catalog, deps, wish);
    await suspendTenant(catalog, clock, "acme");
    expect(who(text)).toBe("tenant_suspended");
    expect(who(`dp_${record.id}_${"0".repeat(48)}`)).toBe("key_unknown");
    await revokeKey(catalog, clock, record.id);
    expect(who(text)).toBe("key_unknown");
    await resumeTenant(catalog, "acme");
    expect(who((await issueKey(catalog, deps, wish)).text)).toMatchObject({ tenantId: "acme" });
  });

  test("is stored as a hash only", async () => {
    const { catalog, deps, store, wish } = await setUp();
    const { text } = await issueKey(catalog, deps, wish);
    const secret = text.split("_")[2]!;
    expect(JSON.stringify(await store.records.list(""))).not.toContain(secret);
  });

  test("that is malformed, unknown, of a wrong secret, expired or revoked is one and the same: unknown", async () => {
    const { catalog, clock, deps, wish, who } = await setUp();
    const { record, text } = await issueKey(catalog, deps, wish);
    const expiring = await issueKey(catalog, deps, { ...wish, expiresAt: clock.now() + 1000 });
    expect(who(expiring.text)).toMatchObject({ tenantId: "acme" });
    await clock.advance(1000);
    const wrongSecret = text.slice(0, -1) + (text.endsWith("0") ? "1" : "0");
    for (const bad of ["nonsense", "dp__", `dp_${"0".repeat(16)}_${"0".repeat(48)}`, wrongSecret, `${text} `, expiring.text]) {
      expect(who(bad)).toBe("key_unknown");
    }
    await revokeKey(catalog, clock, record.id);
    expect(who(text)).toBe("key_unknown");
    expect(who(undefined)).toBe("key_missing");
    expect(who("")).toBe("key_missing");
  });

  test("that is revoked on one router is refused on the other as soon as the change arrives", async () => {
    const { catalog, clock, deps, store, wish } = await setUp();
    const other = await startCatalog({ records: store.records, clock, log: LOG });
    const { record, text } = await issueKey(catalog, deps, wish);
    await clock.advance(0);
    expect(authenticate(other.view, text, clock.now()).keyId).toBe(record.id);
    await revokeKey(catalog, clock, record.id);
    await clock.advance(0);
    expect(() => authenticate(other.view, text, clock.now())).toThrow(/not valid/);
  });

  test("of an operator exists before any router runs", async () => {
    const { clock, deps, store } = await setUp();
    const { text } = await createAdminKey(store.records, deps);
    const catalog = await startCatalog({ records: store.records, clock, log: LOG });
    expect(authenticate(catalog.view, text, clock.now())).toMatchObject({ tenantId: undefined, scopes: new Set(["admin"]) });
  });

  test.each([
    ["scopes", { scopes: [] }],
    ["scopes", { scopes: ["admin" as const] }],
    ["scopes", { tenantId: undefined }],
    ["expires_at_ms", { expiresAt: 1 }],
    ["expires_at_ms", { expiresAt: Number.NaN }],
    ["name", { name: "x".repeat(65) }],
    ["name", { name: "two\nlines" }],
    ["project_id", { tenantId: undefined, scopes: ["admin" as const], projectId: "default" }],
  ])("with impossible %s is not made", async (field, change) => {
    const { catalog, deps, wish } = await setUp();
    await expect(issueKey(catalog, deps, { ...wish, ...change })).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field } });
  });
});

test.each(["", "UPPER", "a/b", "../x", "operator", "base", "a".repeat(64)])('no tenant is called "%s"', async (id) => {
  const { catalog, clock } = await setUp();
  await expect(createTenant(catalog, clock, id)).rejects.toMatchObject({ reason: "parameter_invalid" });
});

test("a project has a name of its own within its tenant, and the first is always there", async () => {
  const { catalog, clock } = await setUp();
  await createTenant(catalog, clock, "zeta");
  await createProject(catalog, clock, { tenantId: "acme", id: "chatbot" });
  await createProject(catalog, clock, { tenantId: "zeta", id: "chatbot" });
  expect(listProjects(catalog.view, "acme").map((project) => project.id)).toEqual(["chatbot", "default"]);
  for (const id of ["chatbot", "default"])
    await expect(createProject(catalog, clock, { tenantId: "acme", id })).rejects.toMatchObject({ reason: "resource_exists" });
  await expect(createProject(catalog, clock, { tenantId: "nobody", id: "a" })).rejects.toMatchObject({ reason: "resource_unknown" });
  await expect(createProject(catalog, clock, { tenantId: "acme", id: "A" })).rejects.toMatchObject({ detail: { field: "id" } });
});

test("a change of a tenant changes what it names, and nothing else", async () => {
  const { catalog } = await setUp();
  const budget = { nanoUsd: "5", period: "month" as const };
  await changeTenant(catalog, "acme", { limits: { maxTokens: 9 }, budget });
  expect(await changeTenant(catalog, "acme", { limits: { requestsPerMinute: 7 } })).toMatchObject({
    limits: { requestsPerMinute: 7 },
    budget,
  });
  expect(catalog.view.get("tenant", "acme")?.limits).toEqual({ requestsPerMinute: 7 });
  expect(await changeTenant(catalog, "acme", { budget: "none" })).not.toHaveProperty("budget");
  await expect(changeTenant(catalog, "acme", { pricePlan: "standart" })).rejects.toMatchObject({ detail: { field: "price_plan" } });
});
