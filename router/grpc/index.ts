export { type AdminDoorDeps, startAdminDoor } from "./admin-door.ts";
export { type GrpcDoorDeps, startGrpcDoor } from "./grpc-door.ts";
