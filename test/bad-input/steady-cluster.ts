import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { Fault } from "#kernel";
import { AdminServiceService, type GrpcChannel, ModelServiceService, Scope } from "#proto";
import { generate, greedy } from "../cluster/generated-text.ts";
import { type RunningCluster, startCluster } from "../cluster/running-cluster.ts";
import { type DeltaFolder, goodDelta, pushRequests } from "./delta-folder.ts";

export const BASE = "demo-base";

/** One tenant as a test sees it: two keys, a channel, and a delta of its own behind an alias. */
export interface Customer {
  readonly tenant: string;
  readonly key: string;
  readonly channel: GrpcChannel;
  /** `<tenant>/good` */
  readonly alias: string;
  /** `ft:…` */
  readonly model: string;
}

/** What bad input must leave as it was. */
export interface Standing {
  /** Router, nodes and engines. */
  readonly pids: readonly number[];
  readonly models: readonly string[];
  readonly bases: readonly string[];
  /** Everything below the deltas' folders of router and nodes. */
  readonly files: readonly string[];
}

/** A real cluster with two customers, that can tell whether it is still the same. */
export interface SteadyCluster extends AsyncDisposable {
  readonly cluster: RunningCluster;
  /** The operator at the administration's door, and at the customers'. */
  readonly admin: GrpcChannel;
  readonly operator: GrpcChannel;
  readonly acme: Customer;
  readonly globex: Customer;
  readonly routerPid: number;
  standing(): Promise<Standing>;
  /** Requests in the router, and rows in the engines as the nodes' last reports say. */
  running(): Promise<number>;
  /** Fails unless processes, models and files are what they were at the start, and a request is served. */
  expectSteady(): Promise<void>;
  newKey(tenantId: string, scopes: readonly Scope[]): Promise<{ readonly id: string; readonly text: string }>;
}

export async function startSteadyCluster(): Promise<SteadyCluster> {
  await using starting = new AsyncDisposableStack();
  const cluster = starting.use(await startCluster({ args: ["--no-demo", "--base", "models/demo-base"] }));
  const admin = cluster.adminChannel();
  const operator = cluster.channel(cluster.adminKey);
  const { pid: routerPid } = JSON.parse(readFileSync(join(cluster.home, "cluster.json"), "utf8")) as { pid: number };
  const newKey = async (tenantId: string, scopes: readonly Scope[]) => {
    const { key, secret } = await admin.unary(AdminServiceService.createKey, {
      ...{ tenantId, projectId: "", name: "", expiresAtMs: 0 },
      scopes: [...scopes],
    });
    return { id: key!.id, text: secret };
  };
  const customer = async (tenant: string): Promise<Customer> => {
    await admin.unary(AdminServiceService.createTenant, { id: tenant });
    const { text: key } = await newKey(tenant, [Scope.SCOPE_INFER, Scope.SCOPE_TRAIN]);
    const channel = cluster.channel(key);
    const model = await push(channel, goodDelta());
    return { tenant, key, channel, alias: `${tenant}/good`, model };
  };
  const acme = await customer("acme");
  const globex = await customer("globex");
  const standing = () => standingOf(operator, routerPid, cluster.home);
  const serve = () => generate(acme.channel, greedy(acme.alias, "A normal request", 8));
  const usual = await serve();
  const before = await standing();
  starting.move(); // From here on it is the caller's to stop.

  return {
    ...{ cluster, admin, operator, acme, globex, routerPid, standing, newKey },
    running: () => runningIn(admin),
    async expectSteady() {
      await expect.poll(standing, { timeout: 10_000 }).toEqual(before);
      expect((await serve()).text).toBe(usual.text);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([admin, operator, acme.channel, globex.channel].map((channel) => channel[Symbol.asyncDispose]()));
      await cluster[Symbol.asyncDispose]();
    },
  };
}

async function push(channel: GrpcChannel, folder: DeltaFolder): Promise<string> {
  const { delta } = await channel.clientStream(ModelServiceService.pushDelta, pushRequests({ base: BASE, name: "good" }, folder));
  return delta!.name;
}

async function standingOf(operator: GrpcChannel, routerPid: number, home: string): Promise<Standing> {
  const [{ deltas }, { aliases }, { bases }] = await Promise.all([
    operator.unary(ModelServiceService.listDeltas, { tenantId: "" }),
    operator.unary(ModelServiceService.listAliases, {}),
    operator.unary(ModelServiceService.listBases, {}),
  ]);
  const nodes = readdirSync(join(home, "nodes")).map((node) => join("nodes", node, "deltas"));
  return {
    pids: familyOf(routerPid),
    models: [...deltas.map((delta) => delta.name), ...aliases.map((alias) => alias.name)].sort(),
    bases: bases.map((base) => base.name),
    // A node may come to hold a delta that exists; what else lies there is left over.
    files: [
      ...filesBelow(home, join("router", "deltas")),
      ...filesBelow(home, join("router", ".incoming")),
      ...nodes
        .flatMap((folder) => filesBelow(home, folder))
        .filter((file) => !deltas.some((delta) => file.includes(delta.reference!.digest))),
    ],
  };
}

async function runningIn(admin: GrpcChannel): Promise<number> {
  const { nodes, requestsRunning } = await admin.unary(AdminServiceService.getCluster, {});
  const bases = nodes.flatMap((node) => node.view?.bases ?? []);
  return bases.reduce((sum, base) => sum + base.rowsRunning + base.queueDepth, requestsRunning);
}

function filesBelow(home: string, folder: string): string[] {
  return readdirSync(join(home, folder), { recursive: true, encoding: "utf8" })
    .map((file) => join(folder, file))
    .sort();
}

/** A process and all that descend from it. */
function familyOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  return [pid, ...children.flatMap(familyOf)];
}

/** The fault that something ends with. */
export async function faultOf(work: Promise<unknown>): Promise<Fault> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error("it succeeded, although it should have been refused");
}

/** All the words with which a fault names what was wrong. */
export function namesOf(fault: Fault): string {
  const { file = "", field = "", resource = "" } = fault.detail;
  return [fault.message, file, field, resource].join(" | ");
}
