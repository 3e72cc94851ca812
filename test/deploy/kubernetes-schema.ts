import * as models from "@kubernetes/client-node";
import type { Manifest } from "./manifests.ts";

interface Attribute {
  readonly baseName: string;
  readonly type: string;
}
type Model = { readonly getAttributeTypeMap: () => readonly Attribute[] };

const MODELS = models as unknown as Readonly<Record<string, Model | undefined>>;
/** Types of the models that are no models: what a value of them must be. */
const PRIMITIVES: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  boolean: (value) => typeof value === "boolean",
  IntOrString: (value) => typeof value === "string" || Number.isInteger(value),
  any: () => true,
  object: () => true,
};
/** Schemas may hold anything that JSON schema allows. */
const OPAQUE = new Set(["V1JSONSchemaProps"]);

/** Fields that Kubernetes does not know, or of a type that it would refuse, by their path. For the kinds that it brings itself. */
export function fieldFaults(manifest: Manifest): readonly string[] {
  const model = modelOf(manifest);
  return model === undefined ? [`${manifest.apiVersion} ${manifest.kind} is not a kind of Kubernetes`] : faultsOf(manifest, model, "");
}

/** Whether a kind is Kubernetes' own, not some operator's. */
export function isBuiltIn({ apiVersion }: Manifest): boolean {
  const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
  return !group.includes(".") || group.endsWith(".k8s.io");
}

function modelOf({ apiVersion, kind }: Manifest): string | undefined {
  const version = apiVersion.split("/").at(-1);
  const name = `${version[0].toUpperCase()}${version.slice(1)}${kind}`;
  return MODELS[name] === undefined ? undefined : name;
}

function faultsOf(value: unknown, type: string, path: string): readonly string[] {
  const list = /^(?:Array|Set)<(.+)>$/.exec(type)?.[1];
  if (list !== undefined) {
    if (!Array.isArray(value)) return [`${path} is not a list`];
    return value.flatMap((item, index) => faultsOf(item, list, `${path}[${index}]`));
  }
  const map = /^\{ \[key: string\]: (.+); \}$/.exec(type)?.[1];
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const fits = PRIMITIVES[type];
    return fits?.(value) ? [] : [`${path} is not a ${type}`];
  }
  if (map !== undefined) return Object.entries(value).flatMap(([key, item]) => faultsOf(item, map, `${path}.${key}`));
  const attributes = OPAQUE.has(type) ? undefined : MODELS[type]?.getAttributeTypeMap();
  if (attributes === undefined) return OPAQUE.has(type) || type === "any" || type === "object" ? [] : [`${path} is not a ${type}`];
  return Object.entries(value).flatMap(([key, item]) => {
    const attribute = attributes.find(({ baseName }) => baseName === key);
    return attribute === undefined ? [`${path}.${key} is no field of ${type}`] : faultsOf(item, attribute.type, `${path}.${key}`);
  });
}

/** Where each group's published schemas are, which also demand fields and allow certain words only. */
const PACKAGES: readonly (readonly [group: RegExp, package_: string])[] = [
  [/^monitoring\.coreos\.com\//, "@kubernetes-models/prometheus-operator"],
  [/^keda\.sh\//, "@kubernetes-models/keda"],
  [/^cert-manager\.io\//, "@kubernetes-models/cert-manager"],
  [/^(?!.*\.dev\/)/, "kubernetes-models"],
];

/** What the published schema of its kind says against an object, or that there is none. */
export async function schemaFaults(manifest: Manifest): Promise<readonly string[]> {
  const found = PACKAGES.find(([group]) => group.test(manifest.apiVersion));
  const kinds = found && (await import(`${found[1]}/${manifest.apiVersion}`));
  const kind = kinds?.[manifest.kind];
  if (kind === undefined) return [`no schema of ${manifest.apiVersion} ${manifest.kind} is installed`];
  try {
    new kind(manifest).validate();
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}
