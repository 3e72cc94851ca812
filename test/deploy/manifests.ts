import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { canRender, renderManifests } from "../../deploy/generated-files.ts";

export const DEPLOY = join(import.meta.dirname, "../../deploy");
const OVERLAYS = ["dev", "gpu-nvidia", "prod"] as const;

/** An object as the API server would get it. */
// biome-ignore lint/suspicious/noExplicitAny: its shape is what the tests ask about
export type Manifest = any;

/** Why overlays cannot be looked at here; undefined when they can. install.yaml always is. */
export const CANNOT_RENDER = canRender() ? undefined : "no kubectl of 1.21 or newer: overlays are not rendered";

/** What can be looked at here, by name: install.yaml, and each overlay where there is a kubectl. */
export function renderings(): ReadonlyMap<string, readonly Manifest[]> {
  const texts: [string, string][] = [["install.yaml", readFileSync(join(DEPLOY, "install.yaml"), "utf8")]];
  if (CANNOT_RENDER === undefined) for (const overlay of OVERLAYS) texts.push([overlay, renderManifests(`overlays/${overlay}`)]);
  return new Map(texts.map(([name, text]) => [name, objectsOf(text)]));
}

/** Workloads have pods. */
export function workloads(manifests: readonly Manifest[]): readonly Manifest[] {
  return manifests.filter(({ kind }) => ["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"].includes(kind));
}

/** The part of the cluster that a workload runs: router, scheduler, node-agent, trainer; anything else is not ours. */
export function componentOf(workload: Manifest): string {
  return workload.spec.template.metadata.labels["app.kubernetes.io/component"];
}

/** For messages: `StatefulSet/deltaplane-router`. */
export function called({ kind, metadata }: Manifest): string {
  return `${kind}/${metadata.name}`;
}

/** The objects of a file. @throws Error of the first document that is no YAML */
export function objectsOf(text: string): readonly Manifest[] {
  return parseAllDocuments(text, { version: "1.1" }).map((document) => {
    if (document.errors[0]) throw document.errors[0];
    return document.toJS();
  });
}
