import { type Claim, Fault, isFault, type Millis, SECOND } from "#kernel";
import { BillingServiceService, claimToMessage, type GrpcChannel } from "#proto";

/** One router may hang; there is time to ask the next within the outbox's patience. */
const SUBMIT_MS_MAX: Millis = 8 * SECOND;

/** Hands claims to the first router that takes them: all routers write to one ledger, and it merges. */
export function createClaimDelivery(routers: Iterable<GrpcChannel>): (claims: readonly Claim[], signal: AbortSignal) => Promise<void> {
  return async (claims, signal) => {
    const request = { claims: claims.map(claimToMessage) };
    let failure: Fault = new Fault("store_unreachable", "this node knows no router to send its claims to");
    for (const router of routers) {
      try {
        await router.unary(BillingServiceService.submitClaims, request, { signal, timeoutMs: SUBMIT_MS_MAX });
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (!isFault(error)) throw error;
        failure = error;
        if (error.code === "invalid_argument") throw error; // The claims are at fault: every router would say the same.
      }
    }
    throw failure;
  };
}
