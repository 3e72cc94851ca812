import { FinishReason, GenerateRequest, type GrpcChannel, InferenceServiceService, type Prompt, Sampling, type Usage } from "#proto";

/** A whole generation as the client saw it. */
export interface GeneratedText {
  readonly requestId: string;
  readonly text: string;
  readonly tokenIds: readonly number[];
  readonly finish: FinishReason;
  readonly usage: Usage;
}

export function greedy(model: string, prompt: string, maxTokens = 64): GenerateRequest {
  return { ...GenerateRequest.create(), model, prompt: textPrompt(prompt), sampling: Sampling.fromPartial({ temperature: 0, maxTokens }) };
}

export function textPrompt(text: string): Prompt {
  return { kind: { $case: "text", value: text } };
}

/** Reads a generation of one choice to its end; `onPiece` is told after each. */
export async function generate(
  channel: GrpcChannel,
  request: GenerateRequest,
  onPiece: () => void = () => undefined,
): Promise<GeneratedText> {
  let text = "";
  const tokenIds: number[] = [];
  let finish: FinishReason = FinishReason.FINISH_REASON_UNSPECIFIED;
  let usage: Usage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };
  let requestId = "";
  for await (const piece of channel.serverStream(InferenceServiceService.generate, request)) {
    text += piece.text;
    tokenIds.push(...piece.tokenIds);
    finish = piece.finishReason || finish;
    usage = piece.usage ?? usage;
    requestId = piece.requestId;
    onPiece();
  }
  return { requestId, text, tokenIds, finish, usage };
}
