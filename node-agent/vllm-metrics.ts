import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Clock, DeltaDigest, Residency } from "#kernel";
import type { BaseHost } from "./base-host.ts";
import type { ResidencyBook } from "./delta-cache/index.ts";
import type { GenerationObserver } from "./generation/index.ts";
import type { HostedBases } from "./hosted-bases.ts";

/**
 * vLLM's names and buckets, so that endpoint pickers, autoscaling recipes and dashboards that were made for it work here.
 * A delta that is in a slot counts as running there; one that is still loading as waiting.
 */

const FIRST_TOKEN_BUCKETS = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
];
const INTER_TOKEN_BUCKETS = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80];
const REQUEST_BUCKETS = [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680];
const TOKEN_COUNT_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000];

const labelNames = ["model_name"];

export function createVllmMetrics(registry: Registry, clock: Clock, bases: HostedBases, residency: ResidencyBook): GenerationObserver {
  registerGauges(registry, bases);
  registerDeltaInfo(registry, clock, bases, residency);
  const registers = [registry];
  const histogram = (name: string, help: string, buckets: number[]) => new Histogram({ name, help, labelNames, buckets, registers });
  const counter = (name: string, help: string) => new Counter({ name, help, labelNames, registers });
  const firstToken = histogram("vllm:time_to_first_token_seconds", "Time to first token.", FIRST_TOKEN_BUCKETS);
  const interToken = histogram("vllm:inter_token_latency_seconds", "Time between two tokens.", INTER_TOKEN_BUCKETS);
  const perToken = histogram("vllm:time_per_output_token_seconds", "Time between two tokens, by its older name.", INTER_TOKEN_BUCKETS);
  const request = histogram("vllm:e2e_request_latency_seconds", "Time from request to last token.", REQUEST_BUCKETS);
  const promptCount = histogram("vllm:request_prompt_tokens", "Prompt tokens of a request.", TOKEN_COUNT_BUCKETS);
  const generationCount = histogram("vllm:request_generation_tokens", "Generated tokens of a request.", TOKEN_COUNT_BUCKETS);
  const promptTokens = counter("vllm:prompt_tokens_total", "Prompt tokens, those found among kept prefixes included.");
  const generationTokens = counter("vllm:generation_tokens_total", "Tokens generated.");
  const success = new Counter({
    name: "vllm:request_success_total",
    help: "Requests that ended, by how.",
    labelNames: ["model_name", "finished_reason"],
    registers,
  });

  return {
    firstToken: (model_name, _warmth, waitedMs) => firstToken.observe({ model_name }, waitedMs / 1000),
    nextToken(model_name, gapMs) {
      interToken.observe({ model_name }, gapMs / 1000);
      perToken.observe({ model_name }, gapMs / 1000);
    },
    ended(model_name, finished_reason, usage, tookMs) {
      promptTokens.inc({ model_name }, usage.promptTokens);
      generationTokens.inc({ model_name }, usage.completionTokens);
      success.inc({ model_name, finished_reason });
      request.observe({ model_name }, tookMs / 1000);
      promptCount.observe({ model_name }, usage.promptTokens);
      generationCount.observe({ model_name }, usage.completionTokens);
    },
  };
}

function registerGauges(registry: Registry, bases: HostedBases): void {
  const perBase = (name: string, help: string, read: (host: BaseHost) => number) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const host of bases.all()) this.set({ model_name: host.info.name }, read(host));
      },
    });
  perBase("vllm:num_requests_running", "Sequences in the running batch.", (host) => host.engineLoad?.rowsRunning ?? 0);
  perBase("vllm:num_requests_waiting", "Sequences that wait for a row.", (host) => host.engineLoad?.queueDepth ?? 0);
  perBase("vllm:kv_cache_usage_perc", "Share of the KV cache in use, 0 to 1.", (host) => {
    const load = host.engineLoad;
    return load && load.kvTokensMax > 0 ? load.kvTokensUsed / load.kvTokensMax : 0;
  });
}

/** One series only, of now: every permutation of a list would otherwise stay for ever. */
function registerDeltaInfo(registry: Registry, clock: Clock, bases: HostedBases, residency: ResidencyBook): void {
  new Gauge({
    name: "vllm:lora_requests_info",
    help: "Time of the last update; the deltas are in the labels.",
    labelNames: ["max_lora", "running_lora_adapters", "waiting_lora_adapters"],
    registers: [registry],
    collect() {
      this.reset();
      const deltas = [...residency.all()];
      const slots = bases.all().reduce((sum, host) => sum + (host.engineLoad?.slotsMax ?? 0), 0);
      const labels = {
        max_lora: String(slots),
        running_lora_adapters: digests(deltas, ({ tier, state }) => tier === "slot" && state === "ready"),
        waiting_lora_adapters: digests(deltas, ({ state }) => state === "loading"),
      };
      this.set(labels, clock.now() / 1000);
    },
  });
}

function digests(deltas: readonly (readonly [DeltaDigest, Residency])[], which: (residency: Residency) => boolean): string {
  return deltas
    .filter(([, residency]) => which(residency))
    .map(([digest]) => digest)
    .join(",");
}
