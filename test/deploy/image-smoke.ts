import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, globSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { COMPONENTS, type Component } from "#kernel";
import { freePort } from "../../state/redis/testing/free-port.ts";
import type { ImageRoot } from "./image-root.ts";
import { componentOf, type Manifest, renderings, workloads } from "./manifests.ts";

const HOST = "127.0.0.1";
const START_MS_MAX = 60_000;
const POLL_MS = 100;
/** What the manifests' addresses of the cluster stand for. */
const SERVICES: Readonly<Record<string, string>> = {
  "kubernetes://deltaplane-scheduler:grpc": "50054",
  "kubernetes://deltaplane-router-cluster:cluster": "50055",
  "deltaplane-router-cluster:50055": "50055",
};
/** What only a cluster can offer. Without them state and leadership are the router's and scheduler's own. */
const ONLY_IN_A_CLUSTER = /^--(state|leases)=/;

export interface Smoke {
  /** What the demo base said. */
  readonly text: string;
  /** Names of the metrics that each part exports. */
  readonly metrics: ReadonlyMap<Component, ReadonlySet<string>>;
  /** How each part ended after SIGTERM. */
  readonly exits: ReadonlyMap<Component, number | null>;
  /** Files that somebody wrote outside of volumes. */
  readonly written: readonly string[];
}

/**
 * Starts the four parts from an image's root with the arguments of install.yaml, as its user, asks for a text, stops them.
 * `scratch`: an empty folder for what are volumes in a cluster.
 *
 * @throws Error with a part's log when it does not become ready
 */
export async function smokeTest(image: ImageRoot, scratch: string): Promise<Smoke> {
  const before = filesOf(image.root);
  const places = await makePlaces(image, scratch);
  const parts = new Map<Component, Part>();
  try {
    for (const component of ["scheduler", "router", "node-agent", "trainer"] as const) {
      parts.set(component, startPart(image, places, component));
    }
    for (const component of COMPONENTS) await becomesReady(component, places, parts);
    const key = readFileSync(join(places.volume("router"), "admin-key"), "utf8").trim();
    const text = await completion(places.port("router", "8080"), key);
    const metrics = new Map<Component, ReadonlySet<string>>();
    for (const component of COMPONENTS) metrics.set(component, await exported(places.port(component, "9090")));
    const exits = new Map<Component, number | null>();
    // Those that depend on others first, so that nobody waits for who is gone.
    for (const component of ["trainer", "node-agent", "router", "scheduler"] as const)
      exits.set(component, await stop(parts.get(component)!));
    return { text, metrics, exits, written: filesOf(image.root).filter((file) => !before.includes(file)) };
  } finally {
    for (const { child } of parts.values()) child.kill("SIGKILL");
  }
}

interface Places {
  /** The port that stands for one of the manifests', in one part. */
  port(component: Component, port: string): number;
  volume(component: Component): string;
  readonly keyFile: string;
  readonly temporary: string;
}

async function makePlaces({ user }: ImageRoot, scratch: string): Promise<Places> {
  const isRoot = process.getuid?.() === 0;
  const own = (path: string) => isRoot && chownSync(path, user, user);
  const folder = (name: string) => {
    const path = join(scratch, name);
    mkdirSync(path);
    own(path);
    return path;
  };
  for (const component of COMPONENTS) folder(component);
  const keyFile = join(scratch, "key");
  writeFileSync(keyFile, "a-key-for-this-smoke-test", { mode: 0o400 });
  own(keyFile);
  const ports = new Map<string, number>();
  for (const component of COMPONENTS) {
    for (const port of argsOf(component).flatMap((arg) => /-?listen=.*:(\d+)$/.exec(arg)?.[1] ?? [])) {
      ports.set(`${component} ${port}`, await freePort());
    }
  }
  return {
    port: (component, port) => ports.get(`${component} ${port}`)!,
    volume: (component) => join(scratch, component),
    keyFile,
    temporary: folder("tmp"),
  };
}

/** As in install.yaml. */
function argsOf(component: Component): readonly string[] {
  const load = workloads(renderings().get("install.yaml")!).find((each: Manifest) => componentOf(each) === component);
  return load.spec.template.spec.containers[0].args;
}

/** The manifest's arguments, with this machine's ports and folders in the place of a cluster's. */
function localArgs({ root }: ImageRoot, places: Places, component: Component): readonly string[] {
  const owner: Readonly<Record<string, Component>> = { "50054": "scheduler", "50055": "router" };
  return argsOf(component)
    .filter((arg) => !ONLY_IN_A_CLUSTER.test(arg))
    .map((arg) => {
      const [flag, value] = [arg.slice(0, arg.indexOf("=")), arg.slice(arg.indexOf("=") + 1)];
      if (flag === "" || !arg.includes("=")) return arg;
      const service = SERVICES[value];
      if (service !== undefined) return `${flag}=${HOST}:${places.port(owner[service]!, service)}`;
      return `${flag}=${value
        .replace(/^(?:[\d.]+|\$\(POD_IP\)):(\d+)$/, (_, port: string) => `${HOST}:${places.port(component, port)}`)
        .replace("/etc/deltaplane/cluster-key/key", places.keyFile)
        .replace("/var/lib/deltaplane", places.volume(component))
        .replace("/app/", join(root, "app/"))
        .replace("$(POD_NAME)", `${component}-0`)
        .replace("$(CPUS)", "1")}`;
    });
}

interface Part {
  readonly child: ChildProcess;
  readonly log: string[];
}

function startPart(image: ImageRoot, places: Places, component: Component): Part {
  const [program, ...words] = image.entrypoint.map((word) => join(image.root, word));
  const environment = Object.entries(image.environment).map(([name, value]) => [name, value.replace(/^\/tmp/, places.temporary)]);
  const child = spawn(program!, [...words, ...localArgs(image, places, component)], {
    cwd: join(image.root, "app"),
    // Nothing of this machine's: no PATH to other programs, no home.
    env: { ...Object.fromEntries(environment), TMPDIR: places.temporary, DELTAPLANE_NOTICE_SECONDS: "0" },
    ...(process.getuid?.() === 0 ? { uid: image.user, gid: image.user } : {}),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const log: string[] = [];
  for (const stream of [child.stdout!, child.stderr!]) stream.on("data", (data: Buffer) => log.push(data.toString()));
  child.once("error", (error) => log.push(String(error)));
  return { child, log };
}

async function becomesReady(component: Component, places: Places, parts: ReadonlyMap<Component, Part>): Promise<void> {
  const failed = (what: string) =>
    new Error(`${component} ${what}:\n${[...parts].map(([name, { log }]) => `--- ${name}\n${log.join("")}`).join("\n")}`);
  for (let waitedMs = 0; waitedMs < START_MS_MAX; waitedMs += POLL_MS) {
    for (const [name, { child }] of parts) if (child.exitCode !== null) throw failed(`waits, and ${name} ended with ${child.exitCode}`);
    const answer = await fetch(`http://${HOST}:${places.port(component, "9090")}/readyz`).catch(() => undefined);
    if (answer?.ok) return;
    await sleep(POLL_MS);
  }
  throw failed("did not become ready");
}

/** Asks until a node has been heard of. */
async function completion(port: number, key: string): Promise<string> {
  let answer = "";
  for (let waitedMs = 0; waitedMs < START_MS_MAX; waitedMs += POLL_MS) {
    const response = await fetch(`http://${HOST}:${port}/v1/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "demo-base", prompt: "The", max_tokens: 4, temperature: 0 }),
    });
    answer = await response.text();
    if (response.ok) return (JSON.parse(answer) as { choices: [{ text: string }] }).choices[0].text;
    if (response.status !== 503 && response.status !== 404) break;
    await sleep(POLL_MS);
  }
  throw new Error(`no completion: ${answer}`);
}

async function exported(port: number): Promise<ReadonlySet<string>> {
  const text = await (await fetch(`http://${HOST}:${port}/metrics`)).text();
  return new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!));
}

async function stop({ child }: Part): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  child.kill("SIGTERM");
  const [status] = (await once(child, "exit")) as [number | null];
  return status;
}

/** With sizes and times, so that a change shows too. Packages are left out: there are many. */
function filesOf(root: string): readonly string[] {
  const files = globSync("**/*", { cwd: root, exclude: (name) => name === "node_modules" || name.endsWith("/node_modules") });
  return files
    .filter((file) => existsSync(join(root, file)))
    .map((file) => {
      const { size, mtimeMs } = statSync(join(root, file));
      return `${file} ${size} ${mtimeMs}`;
    });
}
