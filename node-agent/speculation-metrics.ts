import type { Registry } from "prom-client";
import { createBaseMetrics } from "./base-metrics.ts";
import type { HostedBases } from "./hosted-bases.ts";

/** How many tokens engines tried, and how many of those were right; by vLLM's names. */
export function registerSpeculationMetrics(registry: Registry, bases: HostedBases): void {
  const perBase = createBaseMetrics(registry, bases);
  perBase.counter({
    name: "vllm:spec_decode_num_draft_tokens_total",
    help: "Tokens that were tried before it was known whether they come next.",
    baseLabel: "model_name",
    read: ({ speculation }) => speculation.draftedTokens,
  });
  perBase.counter({
    name: "vllm:spec_decode_num_accepted_tokens_total",
    help: "Those that did.",
    baseLabel: "model_name",
    read: ({ speculation }) => speculation.acceptedTokens,
  });
}
