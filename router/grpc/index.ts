export { type GrpcDoorDeps, startGrpcDoor } from "./grpc-door.ts";
