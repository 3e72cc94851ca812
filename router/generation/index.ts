export { OPERATOR_TENANT } from "./admission.ts";
export { Dispatcher, type PlacementAsk } from "./dispatcher.ts";
export { createInferenceCore } from "./inference-core.ts";
export { REQUEST_SLOT_LIMITS, type RequestSlotLimits, RequestSlots } from "./request-slots.ts";
