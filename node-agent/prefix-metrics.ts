import { Counter, Gauge, type Registry } from "prom-client";
import type { PrefixLoad } from "./engine/contract.ts";
import type { HostedBases } from "./hosted-bases.ts";

/** What is kept of texts that have ended, and how much it spares. An engine that starts again begins at 0. */
export function registerPrefixMetrics(registry: Registry, bases: HostedBases): void {
  const registers = [registry];
  const counter = (name: string, help: string, label: string, read: (load: PrefixLoad) => number) =>
    new Counter({
      name,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset();
        for (const { info, engineLoad } of bases.all()) if (engineLoad) this.inc({ [label]: info.name }, read(engineLoad.prefixes));
      },
    });
  const gauge = (name: string, help: string, read: (load: PrefixLoad) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ["base"],
      registers,
      collect() {
        this.reset();
        for (const { info, engineLoad } of bases.all()) if (engineLoad) this.set({ base: info.name }, read(engineLoad.prefixes));
      },
    });
  counter(
    "vllm:prefix_cache_queries_total",
    "Tokens of all texts that were looked up among kept prefixes.",
    "model_name",
    ({ queriedTokens }) => queriedTokens,
  );
  counter("vllm:prefix_cache_hits_total", "Those that were found, and not computed.", "model_name", ({ hitTokens }) => hitTokens);
  counter("deltaplane_prefix_evictions_total", "Kept texts that had to go for others or for rows.", "base", ({ evictions }) => evictions);
  gauge("deltaplane_prefix_tokens", "Tokens kept beyond their rows; room for rows that need it.", ({ keptTokens }) => keptTokens);
  gauge("deltaplane_prefix_bytes", "Bytes of the cache that those take.", ({ keptBytes }) => keptBytes);
}
