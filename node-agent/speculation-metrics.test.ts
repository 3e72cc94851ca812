import { Registry } from "prom-client";
import { expect, test } from "vitest";
import type { HostedBases } from "./hosted-bases.ts";
import { registerSpeculationMetrics } from "./speculation-metrics.ts";
import { FakeEngine } from "./testing/fake-engine.ts";
import { goldenInfo } from "./testing/golden-base.ts";

test("each base tells what it tried and what of that was right; a base without an engine says nothing", async () => {
  const info = await goldenInfo();
  const hosts = [{ info, engineLoad: new FakeEngine(info).load() }, { info: { ...info, name: "restarting" } }];
  const registry = new Registry();
  registerSpeculationMetrics(registry, { all: () => hosts } as unknown as HostedBases);
  for (let scrape = 0; scrape < 2; scrape++) {
    const lines = (await registry.metrics()).split("\n").filter((line) => line && !line.startsWith("#"));
    expect(lines).toEqual([
      'vllm:spec_decode_num_draft_tokens_total{model_name="golden"} 120',
      'vllm:spec_decode_num_accepted_tokens_total{model_name="golden"} 90',
    ]);
  }
});
