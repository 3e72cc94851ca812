import { Counter, type Registry } from "prom-client";
import type { SpeculationLoad } from "./engine/contract.ts";
import type { HostedBases } from "./hosted-bases.ts";

/** How many tokens engines tried, and how many of those were right; by vLLM's names. An engine that starts again begins at 0. */
export function registerSpeculationMetrics(registry: Registry, bases: HostedBases): void {
  const counter = (name: string, help: string, read: (load: SpeculationLoad) => number) =>
    new Counter({
      name,
      help,
      labelNames: ["model_name"],
      registers: [registry],
      collect() {
        this.reset();
        for (const { info, engineLoad } of bases.all()) if (engineLoad) this.inc({ model_name: info.name }, read(engineLoad.speculation));
      },
    });
  counter(
    "vllm:spec_decode_num_draft_tokens_total",
    "Tokens that were tried before it was known whether they come next.",
    ({ draftedTokens }) => draftedTokens,
  );
  counter("vllm:spec_decode_num_accepted_tokens_total", "Those that did.", ({ acceptedTokens }) => acceptedTokens);
}
