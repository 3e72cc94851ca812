import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dashboardFiles, installFile } from "../../deploy/generated-files.ts";
import { fieldFaults, isBuiltIn, schemaFaults } from "./kubernetes-schema.ts";
import { CANNOT_RENDER, called, DEPLOY, objectsOf, renderings } from "./manifests.ts";

const MISTAKEN_POD = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "x" },
  spec: { containers: [{ name: "x", image: "y", imagePullPolicy: "Sometimes" }] },
};
const read = (path: string) => readFileSync(join(DEPLOY, path), "utf8");

describe("generated files are what their sources make", () => {
  it.each([...dashboardFiles()])("%s", (path, text) => {
    expect(read(path), "run node deploy/main.ts").toBe(text);
  });

  it.skipIf(CANNOT_RENDER !== undefined)("install.yaml", () => {
    const [path, text] = installFile();
    // As objects: versions of kubectl differ in the order of fields.
    expect(objectsOf(read(path)), "run node deploy/main.ts").toEqual(objectsOf(text));
  });
});

describe.each([...renderings()])("%s", (_, manifests) => {
  it("has every object once", () => {
    const names = manifests.map((manifest) => `${manifest.apiVersion} ${called(manifest)} in ${manifest.metadata.namespace}`);
    expect(names.toSorted()).toEqual([...new Set(names)].toSorted());
  });

  it("has only fields that Kubernetes knows, of the types that it expects", () => {
    const faults = manifests.filter(isBuiltIn).flatMap((manifest) => fieldFaults(manifest).map((fault) => called(manifest) + fault));
    expect(faults).toEqual([]);
  });

  it("fits the published schemas", async () => {
    const faults: string[] = [];
    for (const manifest of manifests) {
      for (const fault of await schemaFaults(manifest)) faults.push(`${called(manifest)}: ${fault}`);
    }
    expect(faults).toEqual([]);
  });

  it("gives Services, and what names pods after itself, names that DNS can hold", () => {
    const named = manifests.filter(({ kind }) => ["Service", "StatefulSet", "Deployment"].includes(kind));
    expect(named.map(called).filter((name) => !/\/[a-z]([-a-z0-9]{0,51}[a-z0-9])?$/.test(name))).toEqual([]);
  });
});

it("finds a word that a published schema does not allow", async () => {
  expect(await schemaFaults(MISTAKEN_POD)).toEqual([expect.stringContaining("imagePullPolicy")]);
});

describe("the check of fields", () => {
  const pod = (spec: object) => ({ apiVersion: "v1", kind: "Pod", metadata: { name: "x" }, spec });
  it.each([
    [{ containers: [{ name: "x", imag: "y" }] }, ".spec.containers[0].imag is no field of V1Container"],
    [{ containers: { name: "x" } }, ".spec.containers is not a list"],
    [{ containers: [], terminationGracePeriodSeconds: "30" }, ".spec.terminationGracePeriodSeconds is not a number"],
    [{ containers: [], nodeSelector: { a: true } }, ".spec.nodeSelector.a is not a string"],
  ])("finds the fault in %j", (spec, fault) => {
    expect(fieldFaults(pod(spec))).toEqual([fault]);
  });
});
