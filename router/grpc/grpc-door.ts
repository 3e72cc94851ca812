import {
  BillingServiceService,
  FineTuningServiceService,
  InferenceServiceService,
  ModelServiceService,
  type RunningGrpcServer,
  startGrpcServer,
  TrainingServiceService,
} from "#proto";
import { type BillingServiceDeps, billingHandlers } from "./billing-service.ts";
import { type FineTuningServiceDeps, fineTuningHandlers } from "./fine-tuning-service.ts";
import { inferenceHandlers } from "./inference-service.ts";
import { type ModelServiceDeps, modelHandlers } from "./model-service.ts";
import { type ServedDeps, served } from "./served.ts";
import { trainingHandlers } from "./training-service.ts";

export interface GrpcDoorDeps extends ModelServiceDeps, BillingServiceDeps, FineTuningServiceDeps, ServedDeps {}

/** What server reflection describes, below `proto/`. */
const REFLECTED = ["inference", "model", "fine_tuning", "billing"].map((name) => `deltaplane/v1/${name}.proto`);

/** Opens the customers' gRPC door. */
export function startGrpcDoor(deps: GrpcDoorDeps, options: { readonly listen: string }): Promise<RunningGrpcServer> {
  return startGrpcServer({
    listen: options.listen,
    clock: deps.clock,
    reflect: REFLECTED,
    services: [
      // The core ends what runs for a key that loses access, whichever door it came through.
      served({ ...deps, access: undefined }, InferenceServiceService, inferenceHandlers(deps.core)),
      served(deps, ModelServiceService, modelHandlers(deps)),
      served(deps, BillingServiceService, billingHandlers(deps)),
      served(deps, FineTuningServiceService, fineTuningHandlers(deps)),
      served(deps, TrainingServiceService, trainingHandlers(deps)),
    ],
  });
}
