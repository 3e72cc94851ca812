import { seededRandom } from "#kernel";
import { createWorkload } from "./workloads/workload.ts";
import { simulate } from "./simulator.ts";
import { figuresOf } from "./sim-figures.ts";
import { NODE_MODELS } from "./node-model.ts";
import { POLICIES } from "./policies/index.ts";
const [name="cpu-124m", nodes="8", deltas="400", over="8", load="0.6", minutes="5", w="poisson", only=""] = process.argv.slice(2);
const model = NODE_MODELS[name]!;
const nodeCount = Number(nodes), durationMs = 60_000*Number(minutes);
const work = createWorkload(w as never, { deltaCount: Number(deltas), nodeCount, model, durationMs, load: Number(load), skew: 1 }, seededRandom(1));
console.log(work.requestCount, "requests");
for (const [n, p] of POLICIES) { if (only && !only.split(",").includes(n)) continue;
const c = process.cpuUsage();
const run = simulate(work, p, { model, nodeCount, oversubscription: Number(over) }, seededRandom(2));
const cpu = process.cpuUsage(c); const ms=(cpu.user+cpu.system)/1000;
const f = figuresOf(run, model.sloMs);
console.log(n.padEnd(18), "p50", f.ttft_ms_p50.toFixed(0).padStart(5), "p99", f.ttft_ms_p99.toFixed(0).padStart(6), "hit", f.hit_share.toFixed(3), f.hit_share_ram.toFixed(2), f.hit_share_disk.toFixed(2), "loads/s", f.loads_per_s.toFixed(1), "slo", f.slo_share.toFixed(3), f.slo_delta_share.toFixed(3), "jain", f.jain.toFixed(3), "churn", f.churn.toFixed(2), "imb", f.imbalance.toFixed(2), "x", (durationMs/ms).toFixed(0)); }
