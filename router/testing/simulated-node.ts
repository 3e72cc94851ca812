import { type Clock, type Millis, type TenantId, type Tokens, VirtualTokenCounter } from "#kernel";
import { FinishReason, type NodeServiceGenerateRequest, type NodeServiceGenerateResponse } from "#proto";
import type { NodeClient } from "../nodes/index.ts";
import { scriptedNode } from "./scripted-node.ts";

export interface NodeShape {
  readonly rows: number;
  /** From the row to the first token, and from each token to the next. */
  readonly firstTokenMs: Millis;
  readonly nextTokenMs: Millis;
  /** What of a tenant's was computed: its prompt when it gets its row, then each token. */
  readonly onServed?: (tenantId: string, inputTokens: Tokens, outputTokens: Tokens) => void;
}

export interface SimulatedNode extends NodeClient {
  readonly running: number;
  readonly waiting: number;
}

/** A node with as many rows as it says, and an engine's queue before them; prompts are token ids, texts as long as max_tokens. */
export function simulatedNode(clock: Clock, shape: NodeShape): SimulatedNode {
  const turns = new VirtualTokenCounter<string>();
  const waiting: { readonly tenantId: string; readonly begin: () => void }[] = [];
  let running = 0;
  const fill = () => {
    for (let next = turns.next(); next !== undefined && running < shape.rows; next = turns.next()) {
      const tenantId = next;
      const [first] = waiting.splice(
        waiting.findIndex((each) => each.tenantId === tenantId),
        1,
      );
      running++;
      first!.begin();
    }
  };

  async function row(tenantId: string, inputTokens: Tokens, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let begun = false;
    const begin = () => {
      begun = true;
      turns.started(tenantId, inputTokens);
      shape.onServed?.(tenantId, inputTokens, 0);
      resolve();
    };
    const entry = { tenantId, begin };
    waiting.push(entry);
    turns.arrived(tenantId);
    const abort = () => {
      if (begun) return;
      waiting.splice(waiting.indexOf(entry), 1);
      turns.withdrawn(tenantId);
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    fill();
    await promise;
    signal.removeEventListener("abort", abort);
  }

  async function* generate(request: NodeServiceGenerateRequest, signal: AbortSignal): AsyncGenerator<NodeServiceGenerateResponse> {
    const tenantId = request.tenantId as TenantId;
    const promptTokens = request.prompt?.kind?.$case === "tokens" ? request.prompt.kind.value.ids.length : 1;
    const maxTokens = request.sampling?.maxTokens ?? 1;
    await row(tenantId, promptTokens, signal);
    try {
      for (let tokens = 1; tokens <= maxTokens; tokens++) {
        await clock.after(tokens === 1 ? shape.firstTokenMs : shape.nextTokenMs, signal);
        turns.produced(tenantId, 1);
        shape.onServed?.(tenantId, 0, 1);
        yield {
          ...{ choice: 0, text: "x", tokenIds: [1], logprobs: [], prompt: [], residency: "", fingerprint: "simulated" },
          finishReason: tokens === maxTokens ? FinishReason.FINISH_REASON_LENGTH : FinishReason.FINISH_REASON_UNSPECIFIED,
          usage: { promptTokens, cachedTokens: 0, completionTokens: tokens },
        };
      }
    } finally {
      turns.ended(tenantId);
      running--;
      fill();
    }
  }

  return {
    ...scriptedNode(),
    generate,
    get running() {
      return running;
    },
    get waiting() {
      return waiting.length;
    },
  };
}
