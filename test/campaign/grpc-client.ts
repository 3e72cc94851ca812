import { isFault } from "#kernel";
import { FinishReason, GenerateRequest, type GrpcChannel, InferenceServiceService } from "#proto";
import { type Ask, type Attempt, AttemptRecorder, type FaultTold, LEFT, type Leaving } from "./ask.ts";

/** No call of a campaign takes longer unless it hangs. */
const CALL_MS_MAX = 60_000;

export function generateRequest(ask: Ask): GenerateRequest {
  const { model, prompt, maxTokens, temperature, seed, ignoreEos = false, idempotencyKey = "" } = ask;
  return GenerateRequest.fromPartial({
    ...{ model, idempotencyKey, prompt: { kind: { $case: "text", value: prompt } } },
    sampling: { maxTokens, temperature, seed: String(seed), ignoreEos },
  });
}

/** One call of Generate, read as fast as it comes. Never rejects: however it ended is what is recorded. */
export async function askOverGrpc(channel: GrpcChannel, ask: Ask, leaving?: Leaving): Promise<Attempt> {
  const recorder = new AttemptRecorder();
  const leave = new AbortController();
  const timer = leaving && "afterMs" in leaving ? setTimeout(() => leave.abort(LEFT), leaving.afterMs) : undefined;
  let pieces = 0;
  try {
    const call = { signal: leave.signal, timeoutMs: CALL_MS_MAX };
    for await (const piece of channel.serverStream(InferenceServiceService.generate, generateRequest(ask), call)) {
      recorder.request(piece.requestId);
      const { text, tokenIds, usage, finishReason } = piece;
      recorder.piece({ text, tokenIds, ...(usage && { usage }), finished: finishReason !== FinishReason.FINISH_REASON_UNSPECIFIED });
      if (leaving && "afterPieces" in leaving && ++pieces === leaving.afterPieces) leave.abort(LEFT);
    }
    return recorder.end("completed");
  } catch (error) {
    return error === LEFT ? recorder.end("cancelled") : recorder.end("failed", faultTold(error));
  } finally {
    clearTimeout(timer);
  }
}

export function faultTold(error: unknown): FaultTold {
  if (!isFault(error)) throw error; // A defect of the campaign itself.
  const { code, reason, message, retry } = error;
  return { code, reason, message, waitMs: retry.kind === "after" ? retry.waitMs : undefined };
}
