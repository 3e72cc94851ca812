import {
  BillingServiceService,
  FineTuningServiceService,
  InferenceServiceService,
  ModelServiceService,
  type RunningGrpcServer,
  type ServerTls,
  startGrpcServer,
  TrainingServiceService,
} from "#proto";
import { type BillingServiceDeps, billingHandlers } from "./billing-service.ts";
import { type FineTuningServiceDeps, fineTuningHandlers } from "./fine-tuning-service.ts";
import type { Door } from "./guard.ts";
import { inferenceHandlers } from "./inference-service.ts";
import { type ModelServiceDeps, modelHandlers } from "./model-service.ts";
import { type ServedDeps, served } from "./served.ts";
import { trainingHandlers } from "./training-service.ts";

export interface GrpcDoorDeps extends ModelServiceDeps, BillingServiceDeps, FineTuningServiceDeps, ServedDeps {}

/** What server reflection describes, below `proto/`. */
const REFLECTED = ["inference", "model", "fine_tuning", "billing"].map((name) => `deltaplane/v1/${name}.proto`);

export interface GrpcDoorOptions {
  readonly listen: string;
  readonly tls?: ServerTls;
  /** Who is let in. */
  readonly door: Door;
}

/** Opens the customers' gRPC door, that of the cluster's own parts, or one for both. */
export function startGrpcDoor(deps: GrpcDoorDeps, { listen, tls, door }: GrpcDoorOptions): Promise<RunningGrpcServer> {
  const guarded = { ...deps, door };
  return startGrpcServer({
    ...{ listen, clock: deps.clock, reflect: REFLECTED, ...(tls && { tls }) },
    services: [
      // The core ends what runs for a key that loses access, whichever door it came through.
      served({ ...guarded, access: undefined }, InferenceServiceService, inferenceHandlers(deps.core)),
      served(guarded, ModelServiceService, modelHandlers(deps)),
      served(guarded, BillingServiceService, billingHandlers(deps)),
      served(guarded, FineTuningServiceService, fineTuningHandlers(deps)),
      served(guarded, TrainingServiceService, trainingHandlers(deps)),
    ],
  });
}
