import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { COMPONENTS, type Component } from "#kernel";
import { createAuthority } from "../../proto/testing/certificates.ts";
import type { KeptProcess } from "./kept-process.ts";

/** What every part has. */
interface LivePart {
  readonly process: KeptProcess;
  /** Of its `/metrics`. */
  readonly metrics: string;
  /** Of its `/readyz`: whether new work should come there. */
  readonly ready: string;
}

export interface LiveScheduler extends LivePart {
  /** `host:port` */
  readonly grpc: string;
}

export interface LiveRouter extends LivePart {
  /** `host:port` */
  readonly grpc: string;
  readonly admin: string;
  /** Where the cluster's own parts come in. */
  readonly cluster: string;
  /** `http://host:port` */
  readonly http: string;
}

export interface LiveNode extends LivePart {
  /** `host:port` */
  readonly grpc: string;
  /** Of the engine's process, a child of the agent's; undefined while there is none. */
  enginePid(): number | undefined;
}

/** The arguments with which a part shows who it is. */
export type PartCertificates = (component: Component) => readonly string[];

/** What parts are started from. */
export interface Layout {
  readonly folder: string;
  /** Starts `deltaplane <kind> …`. */
  readonly component: (name: string, kind: Component, ...args: readonly string[]) => KeptProcess;
  /** A free one. */
  readonly address: () => Promise<string>;
  /** The `--state` URL. */
  readonly state: string;
  readonly tls: PartCertificates | undefined;
  readonly options: {
    readonly threads?: number;
    readonly rows?: number;
    readonly prefillTokens?: number;
    readonly noticeSeconds?: number;
  };
}

export const BASE = "demo-base";
const ROOT = join(import.meta.dirname, "../..");

/** One certificate per part of the cluster, and a CA of its own. */
export function issueCertificates(folder: string): PartCertificates {
  const authority = createAuthority(join(folder, "tls"));
  const issued = new Map(COMPONENTS.map((component) => [component, authority.issue({ component })]));
  return (component) => {
    const { certificateFile, keyFile, caFile } = issued.get(component)!;
    return ["--tls-cert", certificateFile, "--tls-key", keyFile, "--tls-ca", caFile];
  };
}

export async function startScheduler({ component, address, state, tls }: Layout, index: number): Promise<LiveScheduler> {
  const [grpc, metrics] = [await address(), await address()];
  const process = component(
    ...([`scheduler-${index + 1}`, "scheduler", "--listen", grpc, "--metrics-listen", metrics] as const),
    // A file is one process's own: the only scheduler beside it needs nobody's agreement to lead.
    ...(state.startsWith("redis:") ? ["--state", state] : []),
    ...(tls?.("scheduler") ?? []),
  );
  return { process, grpc, ...pages(metrics) };
}

export async function startRouter(layout: Layout, index: number, schedulers: readonly LiveScheduler[]): Promise<LiveRouter> {
  const { component, address, folder, state, tls, options } = layout;
  const [grpc, admin, http, metrics] = [await address(), await address(), await address(), await address()];
  const cluster = tls ? await address() : grpc;
  const name = `router-${index + 1}`;
  const process = component(
    ...([name, "router", "--grpc-listen", grpc, "--admin-listen", admin, "--http-listen", http, "--metrics-listen", metrics] as const),
    ...["--scheduler", ...schedulers.map((scheduler) => scheduler.grpc), "--state", state],
    ...["--data-directory", dataDirectory(folder, name), "--notice-seconds", String(options.noticeSeconds ?? 0)],
    ...(tls ? ["--cluster-listen", cluster, ...tls("router")] : []),
  );
  return { process, grpc, admin, cluster, http: `http://${http}`, ...pages(metrics) };
}

export async function startNode(
  { component, address, folder, tls, options }: Layout,
  index: number,
  schedulers: readonly LiveScheduler[],
  routers: readonly LiveRouter[],
): Promise<LiveNode> {
  const [grpc, metrics] = [await address(), await address()];
  const name = `node-${index + 1}`;
  const process = component(
    ...([name, "node-agent", "--id", name, "--listen", grpc, "--metrics-listen", metrics] as const),
    ...["--scheduler", ...schedulers.map((scheduler) => scheduler.grpc)],
    ...["--router", ...routers.map((router) => router.cluster), "--notice-seconds", String(options.noticeSeconds ?? 0)],
    ...["--base", `${BASE}=${join(ROOT, "models/demo-base")}`, "--cache-directory", join(folder, name)],
    ...["--threads", String(options.threads ?? 1)],
    ...(options.rows === undefined ? [] : ["--rows", String(options.rows)]),
    ...(options.prefillTokens === undefined ? [] : ["--prefill-tokens", String(options.prefillTokens)]),
    ...(tls?.("node-agent") ?? []),
  );
  return { process, grpc, ...pages(metrics), enginePid: () => enginePidOf(process.pid) };
}

function pages(address: string): { readonly metrics: string; readonly ready: string } {
  return { metrics: `http://${address}/metrics`, ready: `http://${address}/readyz` };
}

/** A router's own folder for claims; uploaded deltas lie in one that all routers share, as on a network disk. */
function dataDirectory(folder: string, router: string): string {
  const directory = join(folder, router);
  mkdirSync(join(folder, "deltas"), { recursive: true });
  mkdirSync(directory, { recursive: true });
  symlinkSync(join(folder, "deltas"), join(directory, "deltas"));
  return directory;
}

/** The engine's process says in its arguments what it is. */
function enginePidOf(agent: number | undefined): number | undefined {
  if (agent === undefined) return undefined;
  try {
    const children = readFileSync(`/proc/${agent}/task/${agent}/children`, "utf8").split(" ").filter(Boolean);
    const engine = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("engine-process:"));
    return engine === undefined ? undefined : Number(engine);
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined; // It ended while we looked.
    throw error;
  }
}
