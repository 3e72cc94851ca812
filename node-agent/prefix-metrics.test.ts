import { Registry } from "prom-client";
import { expect, test } from "vitest";
import type { HostedBases } from "./hosted-bases.ts";
import { registerPrefixMetrics } from "./prefix-metrics.ts";
import { FakeEngine } from "./testing/fake-engine.ts";
import { goldenInfo } from "./testing/golden-base.ts";

test("each base tells what it keeps and what that spares, by vLLM's names where it has some; a base without an engine says nothing", async () => {
  const info = await goldenInfo();
  const hosts = [{ info, engineLoad: new FakeEngine(info).load() }, { info: { ...info, name: "restarting" } }];
  const registry = new Registry();
  registerPrefixMetrics(registry, { all: () => hosts } as unknown as HostedBases);
  for (let scrape = 0; scrape < 2; scrape++) {
    const lines = (await registry.metrics()).split("\n").filter((line) => line && !line.startsWith("#"));
    expect(lines).toEqual([
      'vllm:prefix_cache_queries_total{model_name="golden"} 900',
      'vllm:prefix_cache_hits_total{model_name="golden"} 640',
      'deltaplane_prefix_evictions_total{base="golden"} 2',
      'deltaplane_prefix_tokens{base="golden"} 320',
      'deltaplane_prefix_bytes{base="golden"} 5120',
    ]);
  }
});
