import { hostname } from "node:os";
import { type Command, Option } from "commander";
import { z } from "zod";
import { type Component, Fault, GRACE, type Grace, graceMs, parseAddress, SECOND, type Tracer } from "#kernel";
import {
  type CertificateFiles,
  type ClusterCredentials,
  requireIdentity,
  startHealthServer,
  type WatchedCertificate,
  watchCertificate,
} from "#proto";
import { startMetricsServer } from "./cluster/metrics-server.ts";
import { type CertificateUse, createTlsMetrics, type TlsMetrics } from "./cluster/tls-metrics.ts";
import { type ComponentDeps, readSecret } from "./component.ts";
import { EXIT } from "./exit-code.ts";
import { openTracing, type TracingOptions } from "./tracing/open-tracing.ts";

const Seconds = z.coerce.number().min(0).max(3600);

/** What every part of a cluster may be told, beside what is its own. */
export const LIFE_OPTIONS = {
  clusterKeyFile: z.string(),
  metricsListen: z.string(),
  healthListen: z.string().optional(),
  tlsCert: z.string().optional(),
  tlsKey: z.string().optional(),
  tlsCa: z.string().optional(),
  traceEndpoint: z.string().optional(),
  traceRatio: z.coerce.number().min(0).max(1),
  noticeSeconds: Seconds.optional(),
  streamsSeconds: Seconds.optional(),
} as const;

export type LifeOptions = z.infer<z.ZodObject<typeof LIFE_OPTIONS>>;

export function addLifeOptions(command: Command): Command {
  return command
    .addOption(new Option("--config <file>", "options as JSON"))
    .addOption(new Option("--cluster-key-file <file>", "the secret of the cluster's parts").env("DELTAPLANE_CLUSTER_KEY_FILE"))
    .addOption(
      new Option("--metrics-listen <host:port>", "/metrics, /healthz, /readyz").env("DELTAPLANE_METRICS_LISTEN").default("0.0.0.0:9090"),
    )
    .addOption(new Option("--health-listen <host:port>", "gRPC health in the clear, for probes").env("DELTAPLANE_HEALTH_LISTEN"))
    .addOption(new Option("--tls-cert <file>", "shown to the cluster's other parts (docs/tls.md)").env("DELTAPLANE_TLS_CERT"))
    .addOption(new Option("--tls-key <file>", "its key").env("DELTAPLANE_TLS_KEY"))
    .addOption(
      new Option("--trace-endpoint <url>", "OTLP over gRPC; nothing is traced without (docs/tracing.md)").env(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
      ),
    )
    .addOption(new Option("--trace-ratio <0..1>", "of the requests").env("OTEL_TRACES_SAMPLER_ARG").default(1))
    .addOption(new Option("--tls-ca <file>", "who must have signed theirs").env("DELTAPLANE_TLS_CA"));
}

/**
 * The flags of a part. `--tls-ca` stands for whoever connects as well, and Commander gives what two commands know to the
 * outer one.
 */
export function lifeFlags(command: Command): Readonly<Record<string, unknown>> {
  const program = command.parent;
  const outer = program?.getOptionValueSource("tlsCa") === "cli" ? { tlsCa: program.getOptionValue("tlsCa") } : {};
  return { ...command.opts(), ...outer };
}

/** For the parts whose stopping takes time (docs/drain.md). */
export function addGraceOptions(command: Command): Command {
  return command
    .addOption(new Option("--notice-seconds <n>", "from not ready to the closed door").env("DELTAPLANE_NOTICE_SECONDS"))
    .addOption(new Option("--streams-seconds <n>", "for what runs to end").env("DELTAPLANE_STREAMS_SECONDS"));
}

/** What a part shares with every other: how it is known, watched and stopped. */
export interface ComponentLife {
  readonly credentials: ClusterCredentials;
  readonly tracer: Tracer;
  readonly grace: Grace;
  /** From now on it is ready as long as `ready` says so and nobody has stopped it. */
  readyWhen(ready: () => boolean): void;
  /** A certificate for another use, renewed and told of like the first; undefined without files. @throws Fault parameter_invalid for a half pair */
  certificate(use: CertificateUse, files: Partial<CertificateFiles>): Promise<WatchedCertificate | undefined>;
}

/** Opens health, metrics and certificates, which end after everything that is put on `parts` later. */
export async function openLife(
  component: Component,
  options: LifeOptions,
  deps: ComponentDeps,
  parts: AsyncDisposableStack,
  stop: AbortSignal,
): Promise<ComponentLife> {
  const grace = graceOf(component, options);
  let ready = () => false;
  const readyNow = () => !stop.aborted && ready();
  const metrics = createTlsMetrics(deps.registry);
  const certificate = (use: CertificateUse, files: Partial<CertificateFiles>) =>
    openCertificate(use, files, undefined, deps, metrics, parts);
  const { tlsCert, tlsKey, tlsCa } = options;
  const own = { ...(tlsCert && { certificateFile: tlsCert }), ...(tlsKey && { keyFile: tlsKey }), ...(tlsCa && { caFile: tlsCa }) };
  const { tracer } = parts.use(await openTracing(tracingOf(component, options)));
  const tls = await openCertificate("cluster", own, component, deps, metrics, parts);
  parts.use(await startMetricsServer(deps.registry, parseAddress(options.metricsListen), readyNow));
  if (options.healthListen !== undefined) parts.use(await startHealthServer(deps, { listen: options.healthListen, ready: readyNow }));
  stop.addEventListener("abort", () => endInTime(grace, deps), { once: true });
  return {
    credentials: { clusterKey: readSecret(options.clusterKeyFile), ...(tls && { tls }) },
    grace,
    tracer,
    readyWhen(condition) {
      ready = condition;
    },
    certificate,
  };
}

/** Only routers are called by strangers: the others do as they decided. */
function tracingOf(component: Component, { traceEndpoint, traceRatio }: LifeOptions): TracingOptions {
  const instance = `${hostname()}-${process.pid}`;
  return { endpoint: traceEndpoint, ratio: traceRatio, decides: component === "router", component, instance };
}

function graceOf(component: Component, { noticeSeconds, streamsSeconds }: LifeOptions): Grace {
  return {
    ...GRACE[component],
    ...(noticeSeconds !== undefined && { noticeMs: noticeSeconds * SECOND }),
    ...(streamsSeconds !== undefined && { streamsMs: streamsSeconds * SECOND }),
  };
}

async function openCertificate(
  use: CertificateUse,
  files: Partial<CertificateFiles>,
  component: Component | undefined,
  { clock, log }: ComponentDeps,
  metrics: TlsMetrics,
  parts: AsyncDisposableStack,
): Promise<WatchedCertificate | undefined> {
  const { certificateFile, keyFile, caFile } = files;
  if (certificateFile === undefined && keyFile === undefined && caFile === undefined) return undefined;
  const mutual = component !== undefined;
  if (certificateFile === undefined || keyFile === undefined || (mutual && caFile === undefined)) {
    const wanted = mutual ? "--tls-cert, --tls-key and --tls-ca" : "--public-tls-cert and --public-tls-key";
    throw new Fault("parameter_invalid", `${wanted} go together`, { detail: { field: mutual ? "tls-cert" : "public-tls-cert" } });
  }
  const source = parts.use(
    await watchCertificate(
      { clock, log, onReload: (result) => metrics.reloaded(use, result) },
      {
        ...{ certificateFile, keyFile, ...(caFile !== undefined && { caFile }) },
        ...(mutual && { check: (latest) => requireIdentity(latest, component, certificateFile) }),
      },
    ),
  );
  metrics.watch(use, source);
  return source;
}

/** A drain that hangs would be killed from outside, without a word about where. */
function endInTime(grace: Grace, { log }: ComponentDeps): void {
  const end = () => {
    log.error({ graceMs: graceMs(grace) }, "still not stopped after all of its grace; it ends now");
    process.exit(EXIT.failure);
  };
  setTimeout(end, graceMs(grace)).unref();
}
