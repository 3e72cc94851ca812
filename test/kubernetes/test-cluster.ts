import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { systemClock } from "#kernel";
import { type KubernetesApi, type KubernetesObject, openKubernetesApi, type Resource } from "#kubernetes";
import { TestApiServer } from "./api-server/api-server.ts";

/** Names a real cluster that the tests of this folder may use: they make a namespace and our CustomResourceDefinitions in it. */
const REAL_KUBECONFIG = process.env["DELTAPLANE_TEST_KUBECONFIG"];

/** Why tests that break the server on purpose do not run; undefined when they do. */
export const NO_FAULTS = REAL_KUBECONFIG === undefined ? undefined : "faults can't be injected into a real API server";

const NAMESPACES: Resource = { group: "", version: "v1", plural: "namespaces", kind: "Namespace", clusterWide: true };
const DEFINITIONS: Resource = {
  group: "apiextensions.k8s.io",
  version: "v1",
  plural: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
  clusterWide: true,
};
const CRD_FOLDER = join(import.meta.dirname, "../../deploy/crds");

export interface TestCluster extends AsyncDisposable {
  /** For code under test, which is given nothing else. */
  readonly kubeconfig: string;
  /** An own one, empty at first. */
  readonly namespace: string;
  /** The tests' own connection. */
  readonly api: KubernetesApi;
  /** @throws when the cluster is a real one: see {@link NO_FAULTS} */
  readonly server: TestApiServer;
}

/** The cluster that DELTAPLANE_TEST_KUBECONFIG names, or else a server of our own. */
export async function openTestCluster(): Promise<TestCluster> {
  const namespace = `deltaplane-test-${randomBytes(4).toString("hex")}`;
  await using parts = new AsyncDisposableStack();
  const server = REAL_KUBECONFIG === undefined ? parts.use(await TestApiServer.start()) : undefined;
  const folder = await mkdtemp(join(tmpdir(), "kubernetes-"));
  parts.defer(() => rm(folder, { recursive: true }));
  const kubeconfig = REAL_KUBECONFIG ?? join(folder, "kubeconfig");
  if (server) await writeFile(kubeconfig, JSON.stringify(kubeconfigOf(server, namespace)));
  const api = parts.use(openKubernetesApi({ clock: systemClock }, { kubeconfig, namespace }));
  await api.create(NAMESPACES, { metadata: { name: namespace } });
  parts.defer(async () => void (await api.remove(NAMESPACES, namespace)));
  const opened = parts.move();
  return {
    kubeconfig,
    namespace,
    api,
    get server() {
      if (!server) throw new Error(NO_FAULTS);
      return server;
    },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

/** Our CustomResourceDefinitions, as they lie in deploy/crds. */
export function customResourceDefinitions(): readonly KubernetesObject[] {
  const files = readdirSync(CRD_FOLDER).filter((file) => file.endsWith(".yaml") && file !== "kustomization.yaml");
  return files.flatMap((file) => yamlObjects(join(CRD_FOLDER, file)));
}

/** The objects of a YAML file. */
export function yamlObjects(file: string): readonly KubernetesObject[] {
  return parseAllDocuments(readFileSync(file, "utf8")).map((document) => document.toJS() as KubernetesObject);
}

/** Posts them; on a real cluster those that are there already stay. Waits until they are served. */
export async function installDefinitions({ api }: TestCluster): Promise<void> {
  for (const definition of customResourceDefinitions()) {
    await api.create(DEFINITIONS, definition);
    await until(async () => {
      const { status } = (await api.get(DEFINITIONS, definition.metadata.name))!;
      const conditions = (status as { conditions?: { type: string; status: string }[] } | undefined)?.conditions ?? [];
      return conditions.some(({ type, status: is }) => type === "Established" && is === "True");
    });
  }
}

/** Polls until it holds; a test's own timeout ends it. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await systemClock.after(20);
}

function kubeconfigOf(server: TestApiServer, namespace: string): unknown {
  const name = "test";
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server: server.url, "insecure-skip-tls-verify": true } }],
    users: [{ name, user: { token: server.token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace } }],
    "current-context": name,
  };
}
