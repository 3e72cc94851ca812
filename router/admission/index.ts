export { type Admission, type AdmissionDeps, admit, type ClaimFacts, OPERATOR_TENANT, REQUEST_MS_MAX } from "./admission.ts";
export { type Attempt, FairQueue, QUEUE_LIMITS, type QueueLimits, type Turn } from "./fair-queue.ts";
export { Idempotency, type Recording } from "./idempotency.ts";
export { Limits, NOTHING_TAKEN, type Taken } from "./limits.ts";
export type { Placement, PlacementAsk } from "./placement.ts";
export { ends } from "./recorded-answer.ts";
export { identify } from "./request-identity.ts";
export { REQUEST_SLOT_LIMITS, type RequestSlotLimits, RequestSlots } from "./request-slots.ts";
export { WAITING_ROOM_LIMITS, WaitingRoom, type WaitingRoomLimits, type WakeOptions } from "./waiting-room.ts";
