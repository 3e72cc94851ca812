import { AdminServiceService, type RunningGrpcServer, type ServerTls, startGrpcServer } from "#proto";
import { type AdminServiceDeps, adminHandlers } from "./admin-service.ts";
import { type ServedDeps, served } from "./served.ts";

export type AdminDoorDeps = AdminServiceDeps & ServedDeps;

/**
 * Opens the operators' door: on a listener of its own, so that no network that customers reach has to carry it. Channelz,
 * which tells of every connection of the process, asks for no key and is here only.
 */
export function startAdminDoor(
  deps: AdminDoorDeps,
  options: { readonly listen: string; readonly tls?: ServerTls },
): Promise<RunningGrpcServer> {
  return startGrpcServer({
    ...options,
    clock: deps.clock,
    reflect: ["deltaplane/v1/admin.proto"],
    channelz: true,
    services: [served(deps, AdminServiceService, adminHandlers(deps))],
  });
}
