import type { Clock, Fault, Log } from "#kernel";
import {
  AdminServiceService,
  BillingServiceService,
  type Definition,
  InferenceServiceService,
  implement,
  ModelServiceService,
  type RunningGrpcServer,
  type ServedService,
  startGrpcServer,
} from "#proto";
import type { Ledger } from "#state";
import { type AdminServiceDeps, adminHandlers } from "./admin-service.ts";
import { billingHandlers } from "./billing-service.ts";
import { type GuardDeps, type GuardedHandlers, guard } from "./guard.ts";
import { inferenceHandlers } from "./inference-service.ts";
import { type ModelServiceDeps, modelHandlers } from "./model-service.ts";

export interface GrpcDoorDeps extends ModelServiceDeps, AdminServiceDeps, GuardDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly ledger: Ledger;
}

/** What server reflection describes, below `proto/`. */
const REFLECTED = ["inference", "model", "billing", "admin"].map((name) => `deltaplane/v1/${name}.proto`);

/** Opens the gRPC door. */
export function startGrpcDoor(deps: GrpcDoorDeps, options: { readonly listen: string }): Promise<RunningGrpcServer> {
  const onFault = (fault: Fault, path: string) => logFault(deps.log, fault, path);
  const served = <D extends Definition>(definition: D, handlers: GuardedHandlers<D>): ServedService => ({
    name: Object.values(definition)[0]!.path.split("/")[1]!,
    definition,
    implementation: implement(definition, guard(definition, handlers, deps), { clock: deps.clock, onFault }),
  });
  return startGrpcServer({
    listen: options.listen,
    clock: deps.clock,
    reflect: REFLECTED,
    services: [
      served(InferenceServiceService, inferenceHandlers(deps.core)),
      served(ModelServiceService, modelHandlers(deps)),
      served(BillingServiceService, billingHandlers(deps.ledger)),
      served(AdminServiceService, adminHandlers(deps)),
    ],
  });
}

/** A client's mistake is the client's to read; a defect of ours is ours. */
function logFault(log: Log, fault: Fault, path: string): void {
  if (fault.code === "internal" || fault.code === "data_loss") log.error({ err: fault, path }, "a call failed");
}
