import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { FIRST_TOKEN_BUCKETS, INTER_TOKEN_BUCKETS } from "#kernel";
import { createBaseMetrics } from "./base-metrics.ts";
import type { GenerationObserver } from "./generation/index.ts";
import type { HostedBases } from "./hosted-bases.ts";

/** A node's own metrics; vLLM's names for the same things are in vllm-metrics.ts. Never a tenant or a delta in a label. */
export function createNodeMetrics(
  registry: Registry,
  bases: HostedBases,
  gauges: { readonly claimsPending: () => number },
): GenerationObserver {
  const registers = [registry];
  const firstToken = new Histogram({
    name: "deltaplane_time_to_first_token_seconds",
    help: "From the request's arrival at the node to its first token.",
    labelNames: ["base", "residency"],
    buckets: FIRST_TOKEN_BUCKETS,
    registers,
  });
  const interToken = new Histogram({
    name: "deltaplane_inter_token_seconds",
    help: "Between two tokens of one choice.",
    buckets: INTER_TOKEN_BUCKETS,
    registers,
  });
  const tokens = new Counter({
    name: "deltaplane_tokens_total",
    help: "Tokens computed. Not the bill: that is the ledger.",
    labelNames: ["base", "kind"],
    registers,
  });
  new Gauge({
    name: "deltaplane_ledger_claims_pending",
    help: "Claims that are durable here and not yet in the ledger.",
    registers,
    collect() {
      this.set(gauges.claimsPending());
    },
  });
  const perBase = createBaseMetrics(registry, bases);
  perBase.gauge({ name: "deltaplane_queue_depth", help: "Sequences that wait for a row.", read: (load) => load.queueDepth });
  perBase.gauge({
    name: "deltaplane_rows_parked",
    help: "How often a sequence gave up its row: nobody read it, or another tenant had less. Grows.",
    read: (load) => load.parkings,
  });
  perBase.gauge({ name: "deltaplane_batch_rows", help: "Sequences in the running batch.", read: (load) => load.rowsRunning });
  perBase.gauge({ name: "deltaplane_batch_deltas", help: "Distinct deltas in the running batch.", read: (load) => load.deltasRunning });

  return {
    firstToken: (base, residency, waitedMs) => firstToken.observe({ base, residency }, waitedMs / 1000),
    nextToken: (_base, gapMs) => interToken.observe(gapMs / 1000),
    ended(base, _ending, usage) {
      tokens.inc({ base, kind: "prompt" }, usage.promptTokens);
      tokens.inc({ base, kind: "cached" }, usage.cachedTokens);
      tokens.inc({ base, kind: "completion" }, usage.completionTokens);
    },
  };
}

/** One observer that tells all of `observers`. */
export function observers(all: readonly GenerationObserver[]): GenerationObserver {
  return {
    firstToken: (...told) => {
      for (const each of all) each.firstToken(...told);
    },
    nextToken: (...told) => {
      for (const each of all) each.nextToken(...told);
    },
    ended: (...told) => {
      for (const each of all) each.ended(...told);
    },
  };
}
