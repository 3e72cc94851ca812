import type { IncomingMessage } from "node:http";
import { type Answer, startUnreliableServer, type UnreliableServer } from "./unreliable-server.ts";

// biome-ignore lint/suspicious/noExplicitAny: JSON from outside, looked at field by field.
type Loose = any;

export interface MlflowRun {
  readonly id: string;
  readonly experiment: string;
  readonly tags: Map<string, string>;
  readonly params: Map<string, string>;
  /** Every metric that was ever logged: repeated ones show. */
  readonly metrics: Loose[];
  status: string;
}

export interface MlflowServer extends AsyncDisposable {
  readonly http: UnreliableServer;
  readonly runs: MlflowRun[];
}

/** Plays MLflow's REST API for runs, with its limits and its unchangeable parameters. */
export async function startMlflowServer(): Promise<MlflowServer> {
  const experiments = new Set<string>();
  const runs: MlflowRun[] = [];
  const refuse = (code: string): Answer => ({
    status: code === "RESOURCE_DOES_NOT_EXIST" ? 404 : 400,
    body: { error_code: code, message: code },
  });
  const ok = (body: unknown = {}): Answer => ({ status: 200, body });
  const info = (run: MlflowRun) => ({ run_id: run.id, experiment_id: run.experiment, status: run.status });

  function answer(request: IncomingMessage, raw: Buffer): Answer {
    if (request.headers.authorization !== "Bearer secret") return { status: 401 };
    const url = new URL(request.url!, "http://server");
    const body: Loose = raw.length > 0 ? JSON.parse(raw.toString()) : {};
    const run = runs.find(({ id }) => id === body.run_id);
    switch (`${request.method} ${url.pathname.replace("/api/2.0/mlflow", "")}`) {
      case "GET /experiments/get-by-name": {
        const name = url.searchParams.get("experiment_name")!;
        return experiments.has(name) ? ok({ experiment: { experiment_id: `e-${name}`, name } }) : refuse("RESOURCE_DOES_NOT_EXIST");
      }
      case "POST /experiments/create":
        experiments.add(body.name);
        return ok({ experiment_id: `e-${body.name}` });
      case "POST /runs/search": {
        const [, tag, value] = /^tags\.`([^`]+)` = '([^']+)'$/.exec(body.filter)!;
        const found = runs.filter((candidate) => candidate.tags.get(tag!) === value && body.experiment_ids.includes(candidate.experiment));
        return ok({ runs: found.map((candidate) => ({ info: info(candidate), data: latest(candidate) })) });
      }
      case "POST /runs/create": {
        const made = { id: `r${runs.length + 1}`, experiment: body.experiment_id, params: new Map(), metrics: [], status: "RUNNING" };
        runs.push({ ...made, tags: new Map(body.tags.map(({ key, value }: Loose) => [key, value])) });
        return ok({ run: { info: info(runs.at(-1)!) } });
      }
      case "POST /runs/log-batch":
        return run === undefined ? refuse("RESOURCE_DOES_NOT_EXIST") : logBatch(run, body);
      case "POST /runs/update":
        if (run === undefined) return refuse("RESOURCE_DOES_NOT_EXIST");
        run.status = body.status;
        return ok({ run_info: info(run) });
      default:
        return refuse("ENDPOINT_NOT_FOUND");
    }
  }

  function logBatch(run: MlflowRun, { metrics = [], params = [], tags = [] }: Loose): Answer {
    if (metrics.length > 1000 || params.length > 100 || tags.length > 100) return refuse("INVALID_PARAMETER_VALUE");
    for (const { key, value } of params) {
      if (run.params.has(key) && run.params.get(key) !== value) return refuse("INVALID_PARAMETER_VALUE");
      run.params.set(key, value);
    }
    for (const { key, value } of tags) run.tags.set(key, value);
    run.metrics.push(...metrics);
    return ok();
  }

  const http = await startUnreliableServer(1_000_000, answer);
  return { http, runs, [Symbol.asyncDispose]: () => http[Symbol.asyncDispose]() };
}

function latest(run: MlflowRun) {
  const metrics = new Map<string, Loose>();
  for (const metric of run.metrics) metrics.set(metric.key, metric);
  return { metrics: [...metrics.values()], params: [...run.params].map(([key, value]) => ({ key, value })) };
}
