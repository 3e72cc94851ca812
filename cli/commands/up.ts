import { hostname } from "node:os";
import { basename, resolve } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import { BLOB_URLS } from "#blobs";
import { MIB } from "#kernel";
import { DEMO_BASE, setUpDemo } from "../cluster/demo.ts";
import { openHome } from "../cluster/home.ts";
import { STATE_URLS } from "../cluster/store.ts";
import { printDemo, readyLine } from "../cluster/welcome.ts";
import { createDeps, readOptions, runUntilStopped } from "../component.ts";
import { addEngineOptions, ENGINE_OPTIONS, mebibytes } from "../devices/engine-options.ts";
import { lookAround, placeEngines } from "../devices/engine-place.ts";
import { printData, printMessage } from "../output.ts";
import { openTracing } from "../tracing/open-tracing.ts";

interface UpOptions extends Readonly<Record<string, unknown>> {
  readonly nodes: number;
  readonly base: readonly string[];
  readonly port: number;
  readonly grpcPort: number;
  readonly adminPort: number;
  readonly metricsPort: number;
  readonly threads?: number;
  readonly state?: string;
  readonly blobs?: string;
  readonly traceEndpoint?: string;
  readonly traceRatio: number;
  readonly demo: boolean;
}

export function addUpCommand(program: Command): void {
  addEngineOptions(program.command("up"))
    .description("a whole cluster on this machine: router, scheduler, node agents, demo models")
    .option("--nodes <n>", "node agents", count, 2)
    .addOption(
      new Option("--base <dir>", "a Hugging Face folder to serve; may be repeated")
        .argParser((directory, before: string[]) => [...before, resolve(directory)])
        .default([], "the demo base"),
    )
    .addOption(new Option("--port <n>", "HTTP").argParser(port).default(8080))
    .addOption(new Option("--grpc-port <n>").argParser(port).default(50_051))
    .addOption(new Option("--admin-port <n>", "gRPC for operators").argParser(port).default(50_052))
    .addOption(new Option("--metrics-port <n>", "nodes take the ports after it").argParser(port).default(9_090))
    .option("--threads <n>", "of each node's engine (default: the cores shared out)", count)
    .addOption(new Option("--state <url>", `${STATE_URLS} (default: a file in .deltaplane)`).env("DELTAPLANE_STATE"))
    .addOption(new Option("--blobs <url>", `${BLOB_URLS} (default: in .deltaplane)`).env("DELTAPLANE_BLOBS"))
    .addOption(new Option("--trace-endpoint <url>", "OTLP over gRPC; nothing is traced without").env("OTEL_EXPORTER_OTLP_ENDPOINT"))
    .addOption(new Option("--trace-ratio <0..1>", "of the requests").env("OTEL_TRACES_SAMPLER_ARG").argParser(ratio).default(1))
    .option("--no-demo", "without the demo base, tenants and deltas")
    .action((options: UpOptions) => runUntilStopped((signal) => start(options, signal)));
}

/** Of every node. A device's memory is one for all of them: each gets its share. */
async function engineArguments(options: UpOptions): Promise<readonly string[]> {
  const { ep, weights, memoryMib } = readOptions(z.object(ENGINE_OPTIONS), options);
  const { chooseCompute } = await import("#node-agent");
  chooseCompute(ep, weights); // Here and not only in every node, whose words nobody reads.
  const { room } = placeEngines(ep, mebibytes(memoryMib), lookAround());
  const shared = ep !== "cpu" || memoryMib !== undefined;
  const share = ["--memory-mib", String(Math.floor(room.sizeBytes / MIB / options.nodes))];
  return ["--ep", ep, "--weights", weights, ...(shared ? share : [])];
}

async function start(options: UpOptions, signal: AbortSignal): Promise<AsyncDisposable> {
  const { startEmbeddedCluster } = await import("../cluster/embedded-cluster.ts");
  const home = openHome();
  home.makePrivate();
  await using parts = new AsyncDisposableStack();
  const { traceEndpoint: endpoint, traceRatio } = options;
  const tracing = { endpoint, ratio: traceRatio, decides: true, component: "router", instance: hostname() };
  const deps = { ...createDeps("deltaplane", "warn"), tracer: parts.use(await openTracing(tracing)).tracer };
  printMessage("starting router, scheduler and node agents …");
  const cluster = parts.use(
    await startEmbeddedCluster(deps, home, signal, {
      nodeCount: options.nodes,
      bases: [...(options.demo ? [DEMO_BASE] : []), ...options.base.map((directory) => ({ name: basename(directory), directory }))],
      httpPort: options.port,
      grpcPort: options.grpcPort,
      adminPort: options.adminPort,
      metricsPort: options.metricsPort,
      ...(options.threads === undefined ? {} : { threads: options.threads }),
      ...(options.state === undefined ? {} : { state: options.state }),
      ...(options.blobs === undefined ? {} : { blobs: options.blobs }),
      nodeArguments: [...(await engineArguments(options)), ...(endpoint === undefined ? [] : ["--trace-endpoint", endpoint])],
    }),
  );
  const models = options.demo ? await setUpDemo(cluster, home) : [];
  printData(readyLine(cluster));
  if (options.demo) printDemo(cluster, models);
  return parts.move();
}

function count(text: string): number {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new InvalidArgumentError("not a number from 1 to 999");
  return Number(text);
}

function ratio(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError("not a number from 0 to 1");
  return value;
}

function port(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new InvalidArgumentError("not a port (0 takes a free one)");
  return Number(text);
}
