import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { KubernetesObject, Resource } from "#kubernetes";
import { BASE_MODELS, BaseModelSpec, BaseModelStatus } from "../../kubernetes/custom-resources/base-model.ts";
import { DELTAS, DeltaSpec, DeltaStatus } from "../../kubernetes/custom-resources/delta.ts";
import { TENANTS, TenantSpec, TenantStatus } from "../../kubernetes/custom-resources/tenant.ts";
import type { Schema } from "./api-server/schema.ts";
import { customResourceDefinitions, installDefinitions, openTestCluster, type TestCluster, yamlObjects } from "./test-cluster.ts";

const KINDS: readonly (readonly [Resource, z.ZodType, z.ZodType])[] = [
  [BASE_MODELS, BaseModelSpec, BaseModelStatus],
  [TENANTS, TenantSpec, TenantStatus],
  [DELTAS, DeltaSpec, DeltaStatus],
];
const SAMPLES = join(import.meta.dirname, "../../deploy/crds/samples");

interface Version {
  readonly name: string;
  readonly subresources: object;
  readonly additionalPrinterColumns: readonly { readonly name: string; readonly jsonPath: string }[];
  readonly schema: { readonly openAPIV3Schema: Schema };
}
interface DefinitionSpec {
  readonly group: string;
  readonly scope: string;
  readonly names: { readonly plural: string; readonly kind: string; readonly shortNames: readonly string[] };
  readonly versions: readonly [Version];
}

function definitionOf({ plural }: Resource): DefinitionSpec {
  return customResourceDefinitions().find(({ metadata }) => metadata.name === `${plural}.deltaplane.dev`)!.spec as DefinitionSpec;
}

/** What both sides say of a value: not in which words, nor what only one side can say. */
const COMPARED = ["type", "properties", "items", "required", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "maxItems"];

function bare(schema: Record<string, unknown>): unknown {
  const said = COMPARED.filter((keyword) => schema[keyword] !== undefined).map((keyword) => [
    keyword,
    bareKeyword(keyword, schema[keyword]),
  ]);
  const isMoment = schema["format"] === "date-time"; // zod says how one is written, too.
  return Object.fromEntries([
    ...said.filter(([keyword]) => !(isMoment && keyword === "pattern")),
    ...(isMoment ? [["format", "date-time"]] : []),
  ]);
}

function bareKeyword(keyword: string, value: unknown): unknown {
  if (keyword === "items") return bare(value as Record<string, unknown>);
  if (keyword === "required") return [...(value as string[])].sort();
  if (keyword === "maximum" && (value as number) >= Number.MAX_SAFE_INTEGER) return undefined; // zod's own: what a number holds.
  if (keyword === "pattern") return (value as string).replaceAll("\\/", "/"); // JavaScript's own way to write a slash.
  if (keyword !== "properties") return value;
  return Object.fromEntries(Object.entries(value as object).map(([field, inner]) => [field, bare(inner as Record<string, unknown>)]));
}

describe.each(KINDS)("$kind", (resource, spec, status) => {
  it("has the same fields in the definition and in the code, with the same limits", () => {
    const { properties } = definitionOf(resource).versions[0].schema.openAPIV3Schema;
    expect(bare(properties!["spec"]!)).toEqual(bare(z.toJSONSchema(spec) as Record<string, unknown>));
    expect(bare(properties!["status"]!)).toEqual(bare(z.toJSONSchema(status) as Record<string, unknown>));
  });

  it("is named as its resource is, with a status of its own and columns whose fields exist", () => {
    const { group, scope, names, versions } = definitionOf(resource);
    expect([group, versions[0].name, names.plural, names.kind]).toEqual([resource.group, resource.version, resource.plural, resource.kind]);
    expect(scope).toBe("Namespaced");
    expect(names.shortNames).toHaveLength(1);
    expect(versions[0].subresources).toEqual({ status: {} });
    for (const { name, jsonPath } of versions[0].additionalPrinterColumns) {
      if (jsonPath.startsWith(".metadata")) continue;
      const path = jsonPath
        .replace(/\[\?\(.*?\)\]/, ".items")
        .slice(1)
        .split(".");
      let schema: Schema | undefined = versions[0].schema.openAPIV3Schema;
      for (const field of path) schema = field === "items" ? schema?.items : schema?.properties?.[field];
      expect(schema, `column ${name} shows ${jsonPath}`).toBeDefined();
    }
  });
});

describe("the API server", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await openTestCluster();
    await installDefinitions(cluster);
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  const resourceOf = ({ kind }: KubernetesObject) => KINDS.find(([resource]) => resource.kind === kind)![0];
  const make = (resource: Resource, name: string, spec: unknown) => cluster.api.create(resource, { metadata: { name }, spec });
  const edit = async (resource: Resource, name: string, spec: object) => {
    const object = (await cluster.api.get(resource, name))!;
    return cluster.api.replace(resource, "object", { ...object, spec: { ...(object.spec as object), ...spec } });
  };

  it("takes the samples, and so does the code", async () => {
    const samples = readdirSync(SAMPLES).flatMap((file) => yamlObjects(join(SAMPLES, file)));
    expect(new Set(samples.map(({ kind }) => kind))).toEqual(new Set(KINDS.map(([{ kind }]) => kind)));
    for (const sample of samples) {
      const [resource, spec] = KINDS.find(([{ kind }]) => kind === sample.kind)!;
      expect(sample.apiVersion).toBe(`${resource.group}/${resource.version}`);
      const written = await cluster.api.create(resourceOf(sample), sample);
      expect(written).toMatchObject({ kind: "written", object: { spec: sample.spec } });
      expect(spec.parse(sample.spec)).toEqual(sample.spec);
    }
  });

  const DELTA = { tenant: "acme", base: "demo-base", name: "support", source: { path: "acme/support" } };
  it.each<[string, Resource, string, unknown, string]>([
    ["a base in no folder", BASE_MODELS, "one", { directory: "" }, "directory"],
    ["a base in a relative folder", BASE_MODELS, "one", { directory: "models/one" }, "directory"],
    ["a base whose name is none", BASE_MODELS, "one.two", { directory: "/models/one" }, "lower-case letters, digits and hyphens"],
    ["a tenant that stands for somebody else", TENANTS, "operator", {}, "somebody else"],
    ["a limit of nothing", TENANTS, "one", { limits: { maxTokens: 0 } }, "maxTokens"],
    ["a limit that is no number", TENANTS, "one", { limits: { maxTokens: "many" } }, "maxTokens"],
    ["a budget of something else than dollars", TENANTS, "one", { budget: { usd: "-3", period: "Month" } }, "usd"],
    ["a budget without a period", TENANTS, "one", { budget: { usd: "3" } }, "period"],
    ["a delta without an owner", DELTAS, "one", { ...DELTA, tenant: undefined }, "tenant"],
    ["a delta from nowhere", DELTAS, "one", { ...DELTA, source: {} }, "one of them"],
    ["a delta from two places", DELTAS, "one", { ...DELTA, source: { path: "a", url: "s3://a/b" } }, "one of them"],
    ["a delta from the file system's root", DELTAS, "one", { ...DELTA, source: { path: "/etc" } }, "stays within"],
    ["a delta from outside its folder", DELTAS, "one", { ...DELTA, source: { path: "a/../../b" } }, "stays within"],
    ["a delta from anywhere on the network", DELTAS, "one", { ...DELTA, source: { url: "http://169.254.169.254/" } }, "s3://"],
  ])("refuses %s", async (_, resource, name, spec, why) => {
    const refusal = await make(resource, name, spec).catch((error: Error) => error);
    expect(refusal).toMatchObject({ reason: "parameter_invalid", message: expect.stringContaining(why) });
  });

  it("keeps what never changes, and lets the rest be changed", async () => {
    await make(DELTAS, "kept", DELTA);
    await make(BASE_MODELS, "kept", { directory: "/models/kept" });
    for (const field of ["tenant", "base", "name"]) {
      await expect(edit(DELTAS, "kept", { [field]: "other" }), field).rejects.toMatchObject({
        message: expect.stringContaining("never changes"),
      });
    }
    await expect(edit(BASE_MODELS, "kept", { directory: "/models/other" })).rejects.toMatchObject({
      message: expect.stringContaining("never changes"),
    });
    expect(await edit(DELTAS, "kept", { source: { path: "acme/support-2" }, pinned: true })).toMatchObject({ kind: "written" });
  });

  it("drops what it does not know, keeps status and spec apart, and counts changes of the spec", async () => {
    await make(TENANTS, "apart", { unknown: 1, suspended: true });
    const made = (await cluster.api.get(TENANTS, "apart"))!;
    expect(made).toMatchObject({ spec: { suspended: true }, metadata: { generation: 1 } });
    expect(made.spec).not.toHaveProperty("unknown");
    const withStatus = await cluster.api.replace(TENANTS, "status", { ...made, spec: {}, status: { suspended: true } });
    if (withStatus.kind !== "written") throw new Error(withStatus.kind);
    expect(withStatus.object).toMatchObject({ spec: { suspended: true }, status: { suspended: true }, metadata: { generation: 1 } });
    expect(await cluster.api.replace(TENANTS, "object", made)).toEqual({ kind: "conflict" });
    const changed = await cluster.api.replace(TENANTS, "object", { ...withStatus.object, spec: {}, status: {} });
    expect(changed).toMatchObject({ object: { status: { suspended: true }, metadata: { generation: 2 } } });
  });
});
