import type { Registry } from "prom-client";
import { createBaseMetrics } from "./base-metrics.ts";
import type { HostedBases } from "./hosted-bases.ts";

/** What is kept of texts that have ended, and how much it spares. */
export function registerPrefixMetrics(registry: Registry, bases: HostedBases): void {
  const perBase = createBaseMetrics(registry, bases);
  perBase.counter({
    name: "vllm:prefix_cache_queries_total",
    help: "Tokens of all texts that were looked up among kept prefixes.",
    baseLabel: "model_name",
    read: ({ prefixes }) => prefixes.queriedTokens,
  });
  perBase.counter({
    name: "vllm:prefix_cache_hits_total",
    help: "Those that were found, and not computed.",
    baseLabel: "model_name",
    read: ({ prefixes }) => prefixes.hitTokens,
  });
  perBase.counter({
    name: "deltaplane_prefix_evictions_total",
    help: "Kept texts that had to go for others or for rows.",
    read: ({ prefixes }) => prefixes.evictions,
  });
  perBase.gauge({
    name: "deltaplane_prefix_tokens",
    help: "Tokens kept beyond their rows; room for rows that need it.",
    read: ({ prefixes }) => prefixes.keptTokens,
  });
  perBase.gauge({
    name: "deltaplane_prefix_bytes",
    help: "Bytes of the cache that those take.",
    read: ({ prefixes }) => prefixes.keptBytes,
  });
}
