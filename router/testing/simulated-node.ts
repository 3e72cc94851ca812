import { type Clock, type Millis, rowsToShare, type TenantId, type Tokens, TURN_SPARE, VirtualTokenCounter } from "#kernel";
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

/**
 * A node with as many rows as it says, and an engine's queue before them; prompts are token ids, texts as long as
 * max_tokens. As in the engine, a tenant with more than its share of the rows gives one back to a tenant with less.
 */
export function simulatedNode(clock: Clock, shape: NodeShape): SimulatedNode {
  const turns = new VirtualTokenCounter<TenantId>({ spare: TURN_SPARE });
  const waiting: { readonly tenantId: TenantId; readonly begin: () => void }[] = [];
  /** Of the texts that have a row: how each is told to give it up. */
  const rows = new Set<{ readonly tenantId: TenantId; parked: boolean }>();
  let running = 0;
  const fill = () => {
    for (let next = turns.next(); next !== undefined; next = turns.next()) {
      const tenantId = next;
      if (running >= shape.rows && !takeBack(tenantId)) return;
      const [first] = waiting.splice(
        waiting.findIndex((each) => each.tenantId === tenantId),
        1,
      );
      running++;
      first!.begin();
    }
  };
  const takeBack = (tenantId: TenantId): boolean => {
    const texts = [...rows].filter(({ parked }) => !parked);
    const last = rowsToShare(texts, tenantId, shape.rows)?.at(-1);
    if (!last) return false;
    last.parked = true;
    running--;
    return true;
  };

  async function row(tenantId: TenantId, inputTokens: Tokens, signal: AbortSignal): Promise<void> {
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
    let own = { tenantId, parked: false };
    rows.add(own);
    try {
      for (let tokens = 1; tokens <= maxTokens; tokens++) {
        await clock.after(tokens === 1 ? shape.firstTokenMs : shape.nextTokenMs, signal);
        if (own.parked) {
          rows.delete(own);
          turns.ended(tenantId);
          await row(tenantId, 0, signal);
          own = { tenantId, parked: false };
          rows.add(own);
          await clock.after(shape.firstTokenMs, signal); // What was computed is computed again.
        }
        turns.produced(tenantId, 1);
        shape.onServed?.(tenantId, 0, 1);
        yield {
          ...{ choice: 0, text: "x", tokenIds: [1], logprobs: [], prompt: [], residency: "", fingerprint: "simulated" },
          finishReason: tokens === maxTokens ? FinishReason.FINISH_REASON_LENGTH : FinishReason.FINISH_REASON_UNSPECIFIED,
          usage: { promptTokens, cachedTokens: 0, completionTokens: tokens },
        };
      }
    } finally {
      rows.delete(own);
      turns.ended(tenantId);
      if (!own.parked) running--;
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
