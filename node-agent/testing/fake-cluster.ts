import { createReadStream } from "node:fs";
import { join } from "node:path";
import { type Claim, Fault, systemClock } from "#kernel";
import {
  BillingServiceService,
  ClusterServiceService,
  claimFromMessage,
  type DownloadDeltaResponse,
  implement,
  ModelServiceService,
  type ReportRequest,
  startGrpcServer,
} from "#proto";

/** A router and a scheduler in one real gRPC server, as far as a node agent sees of them. */
export interface FakeCluster extends AsyncDisposable {
  readonly address: string;
  readonly reports: ReportRequest[];
  readonly claims: Claim[];
  /** PEFT folders by digest. */
  readonly folders: Map<string, string>;
  readonly downloads: string[];
  /** While set, claims are refused with it. */
  refuseClaims: Fault | undefined;
  /** Ends all report streams; new ones may come. */
  endReports(): void;
}

const PIECE_BYTES = 8 * 1024;

export async function startFakeCluster(): Promise<FakeCluster> {
  const clock = systemClock;
  let endings = Promise.withResolvers<never>();
  const state = {
    reports: [] as ReportRequest[],
    claims: [] as Claim[],
    folders: new Map<string, string>(),
    downloads: [] as string[],
    refuseClaims: undefined as Fault | undefined,
    endReports() {
      endings.promise.catch(() => undefined);
      endings.reject(new Fault("report_rejected", "start again"));
      endings = Promise.withResolvers<never>();
    },
  };
  const { downloadDelta } = ModelServiceService;
  const { submitClaims } = BillingServiceService;
  const { report } = ClusterServiceService;
  const definitions = { model: { downloadDelta }, billing: { submitClaims }, cluster: { report } };
  const model = implement(
    definitions.model,
    {
      async *downloadDelta(request): AsyncGenerator<DownloadDeltaResponse> {
        const digest = request.delta?.digest ?? "";
        state.downloads.push(digest);
        const folder = state.folders.get(digest);
        if (!folder) throw new Fault("resource_unknown", "no such delta");
        const pieces = (file: string) => createReadStream(join(folder, file), { highWaterMark: PIECE_BYTES }) as AsyncIterable<Buffer>;
        for await (const value of pieces("adapter_config.json")) yield { part: { $case: "config", value } };
        for await (const value of pieces("adapter_model.safetensors")) yield { part: { $case: "weights", value } };
      },
    },
    { clock },
  );
  const billing = implement(
    definitions.billing,
    {
      async submitClaims(request) {
        if (state.refuseClaims) throw state.refuseClaims;
        state.claims.push(...request.claims.map(claimFromMessage));
        return {};
      },
    },
    { clock },
  );
  const cluster = implement(
    definitions.cluster,
    {
      async report(reports) {
        const read = (async () => {
          for await (const each of reports) state.reports.push(each);
        })();
        await Promise.race([read, endings.promise]);
        return {};
      },
    },
    { clock },
  );
  const server = await startGrpcServer({
    listen: "127.0.0.1:0",
    clock,
    services: [
      { name: "deltaplane.v1.ModelService", definition: definitions.model, implementation: model },
      { name: "deltaplane.v1.BillingService", definition: definitions.billing, implementation: billing },
      { name: "deltaplane.v1.ClusterService", definition: definitions.cluster, implementation: cluster },
    ],
  });
  return Object.assign(state, {
    address: `127.0.0.1:${server.port}`,
    [Symbol.asyncDispose]: async () => {
      endings.promise.catch(() => undefined);
      endings.reject(new Fault("shutting_down", "over"));
      await server.drain(0);
    },
  });
}
