import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Resource } from "#kubernetes";
import { installDefinitions, NO_FAULTS, openTestCluster, type TestCluster, until } from "./test-cluster.ts";

const ROOT = join(import.meta.dirname, "../..");
const MAIN = join(ROOT, "cli/main.ts");
const GROUP = { group: "deltaplane.dev", version: "v1alpha1" };
const LEASES: Resource = { group: "coordination.k8s.io", version: "v1", plural: "leases", kind: "Lease" };
const SLICES: Resource = { group: "discovery.k8s.io", version: "v1", plural: "endpointslices", kind: "EndpointSlice" };

const folder = mkdtempSync(join(tmpdir(), "deltaplane-kubernetes-"));
const children = new Map<string, ChildProcess>();
const addresses = new Map<string, string>();
let cluster: TestCluster;

/** Every process that a pod would be, on this machine: a real server refuses endpoints on its loopback. */
describe.skipIf(NO_FAULTS !== undefined)("two schedulers, a router and a node agent that know nothing but the API server", () => {
  beforeAll(async () => {
    cluster = await openTestCluster();
    await installDefinitions(cluster);
    writeFileSync(join(folder, "key"), "a-secret-that-the-parts-share");
    for (const name of ["scheduler-1", "scheduler-2", "router", "admin", "http", "node"]) addresses.set(name, await freeAddress());
    startRouter();
    start("node-agent", "n1", [
      ...["--id", "n1", "--listen", address("node"), "--cache-directory", join(folder, "n1"), "--threads", "1"],
      ...["--scheduler", "kubernetes://schedulers:grpc", "--router", "kubernetes://routers:grpc"],
      ...["--notice-seconds", "0", "--base", `demo-base=${join(ROOT, "models/demo-base")}`],
    ]);
    await until(() => readable(join(folder, "router/admin-key")));
    startScheduler("scheduler-1");
    await until(async () => (await lease()) !== undefined);
    startScheduler("scheduler-2");
    await endpoint("routers", "router");
    await endpoint("schedulers", "scheduler-1");
    await endpoint("schedulers", "scheduler-2");
  });
  afterAll(async () => {
    const codes: (number | null)[] = [];
    for (const name of ["n1", "router", "scheduler-2"]) codes.push(await stop(children.get(name)!)); // Who asks others, before them.
    await cluster[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
    expect(codes.every((code) => code === 0)).toBe(true);
  });

  it("find each other, elect a leader, and make the custom resources true", async () => {
    await make("basemodels", "BaseModel", "demo-base", { directory: join(ROOT, "models/demo-base") });
    await make("tenants", "Tenant", "acme", { limits: { concurrentRequests: 8 } });
    await make("deltas", "Delta", "acme-english", { tenant: "acme", base: "demo-base", name: "english", source: { path: "translate" } });
    await until(() => isReady("deltas", "acme-english"));
    await until(async () => (await fetch(`http://${address("http")}/readyz`).catch(() => undefined))?.status === 200);
    const [line] = readFileSync(join(ROOT, "models/demo-deltas/translate/heldout.jsonl"), "utf8").split("\n", 1);
    const { prompt, completion } = JSON.parse(line!) as { prompt: string; completion: string };
    expect((await deltaplane("run", "acme/english", prompt, "--temperature", "0")).trim()).toBe(completion);
  });

  it("have another leader within 5 s of the first one's death, under a higher epoch, which goes on with the custom resources", async () => {
    const before = (await lease())!;
    const killedAt = performance.now();
    children.get("scheduler-1")!.kill("SIGKILL");
    children.delete("scheduler-1");
    await until(async () => (await lease())!.holderIdentity !== before.holderIdentity);
    expect(performance.now() - killedAt).toBeLessThan(5000);
    expect((await lease())!.leaseTransitions).toBe(before.leaseTransitions + 1);
    await make("tenants", "Tenant", "zeta", {});
    await until(() => isReady("tenants", "zeta"));
  });
});

function startRouter(): void {
  start("router", "router", [
    ...["--grpc-listen", address("router"), "--admin-listen", address("admin"), "--http-listen", address("http")],
    ...["--scheduler", "kubernetes://schedulers:grpc", "--data-directory", join(folder, "router"), "--notice-seconds", "0"],
  ]);
}

function startScheduler(name: string): void {
  start("scheduler", name, [
    ...["--listen", address(name), "--leases", "kubernetes", "--controller", "--operator-key-file", join(folder, "router/admin-key")],
    ...["--router", address("router"), "--admin-server", address("admin"), "--delta-directory", join(ROOT, "models/demo-deltas")],
  ]);
}

function start(component: string, name: string, args: readonly string[]): void {
  const shared = ["--cluster-key-file", join(folder, "key"), "--metrics-listen", "127.0.0.1:0", "--kubeconfig", cluster.kubeconfig];
  children.set(name, spawn(process.execPath, [MAIN, component, ...shared, ...args], { cwd: folder, stdio: "ignore" }));
}

async function stop(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  child.kill("SIGTERM");
  return new Promise((resolve) => child.once("exit", resolve));
}

/** Says that a process is a pod of a headless Service. */
async function endpoint(service: string, pod: string): Promise<void> {
  const [host, port] = address(pod).split(":");
  await cluster.api.create(SLICES, {
    metadata: { name: `${service}-${pod}`, labels: { "kubernetes.io/service-name": service } },
    addressType: "IPv4",
    endpoints: [{ addresses: [host], conditions: { ready: true, serving: true, terminating: false } }],
    ports: [{ name: "grpc", port: Number(port), protocol: "TCP" }],
  });
}

async function make(plural: string, kind: string, name: string, spec: object): Promise<void> {
  await cluster.api.create({ ...GROUP, plural, kind }, { metadata: { name }, spec });
}

async function isReady(plural: string, name: string): Promise<boolean> {
  const { status } = (await cluster.api.get({ ...GROUP, plural, kind: "" }, name))!;
  const { conditions = [] } = (status ?? {}) as { conditions?: { type: string; status: string }[] };
  return conditions.some((condition) => condition.type === "Ready" && condition.status === "True");
}

interface LeaseSpec {
  readonly holderIdentity: string;
  readonly leaseTransitions: number;
}

async function lease(): Promise<LeaseSpec | undefined> {
  return (await cluster.api.get(LEASES, "deltaplane-scheduler"))?.spec as LeaseSpec | undefined;
}

/** Not synchronously: the API server is in this process, and would fall silent. */
async function deltaplane(...args: string[]): Promise<string> {
  const key = readFileSync(join(folder, "router/admin-key"), "utf8").trim();
  const where = ["--server", address("router"), "--admin-server", address("admin"), "--key", key];
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...where, ...args]);
  return stdout;
}

function address(name: string): string {
  return addresses.get(name)!;
}

function readable(file: string): boolean {
  try {
    return readFileSync(file, "utf8").trim() !== "";
  } catch {
    return false;
  }
}

async function freeAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (bound === null || typeof bound === "string") throw new Error("no port");
  return `127.0.0.1:${bound.port}`;
}
