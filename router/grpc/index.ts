export { startAdminDoor } from "./admin-door.ts";
export { startGrpcDoor } from "./grpc-door.ts";
