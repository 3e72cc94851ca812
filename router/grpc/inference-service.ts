import type { InferenceServiceService } from "#proto";
import type { InferenceCore } from "../contract.ts";
import type { GuardedHandlers } from "./guard.ts";

export function inferenceHandlers(core: InferenceCore): GuardedHandlers<typeof InferenceServiceService> {
  return {
    generate: (request, { principal, signal, deadlineAt, trace }) =>
      core.generate(principal, request, signal, undefined, { deadlineAt, trace }),
    score: (request, { principal, signal, deadlineAt, trace }) => core.score(principal, request, signal, undefined, { deadlineAt, trace }),
    countTokens: (request, { principal, signal }) => core.countTokens(principal, request, signal),
  };
}
