export type { Arrival, DeltaLease, DeltaOrigin, TierEvent, TierObserver, TierStatus } from "./contract.ts";
export {
  DeltaCache,
  type DeltaCacheDeps,
  type DeltaCacheOptions,
  type DeltaSlots,
  openDeltaCache,
  RAM_BYTES_MAX,
  type SlotLimits,
} from "./delta-cache.ts";
export { type DeltaLoader, openDeltaLoader } from "./delta-loader.ts";
export { createGrpcOrigin, createPeerFetch } from "./grpc-origin.ts";
export type { ResidencyBook, ResidencyChanges, ResidencyFeed } from "./residency-book.ts";
export { storedParts } from "./stored-parts.ts";
