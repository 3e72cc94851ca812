import { join } from "node:path";
import { parseArgs } from "node:util";
import { printReport, recordReport } from "#bench";
import { CAMPAIGNS } from "./campaigns.ts";

/**
 * `node test/campaign/main.ts NAME [--seed N] [--kills N] [--seconds N] [--store redis|embedded] [--rate N] [--requests N] [--record]`: one campaign
 * at its full length against a cluster of its own. Prints a table; exits with 1 when a promise was broken.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string" },
    kills: { type: "string", default: "500" },
    seconds: { type: "string", default: "30" },
    store: { type: "string", default: "redis" },
    rate: { type: "string" },
    requests: { type: "string" },
    record: { type: "boolean", default: false },
  },
});
const name = positionals[0] ?? "";
const campaign = CAMPAIGNS[name];
if (!campaign) throw new Error(`no campaign "${name}"; there are ${Object.keys(CAMPAIGNS).join(", ")}`);
if (values.store !== "redis" && values.store !== "embedded") throw new Error(`--store ${values.store}: redis or embedded`);

const seed = Number(values.seed ?? Date.now() % 1_000_000);
const progress = (line: string) => console.error(`${new Date().toISOString().slice(11, 19)} ${line}`);
const { report, violations } = await campaign({
  ...{ seed, progress, store: values.store },
  kills: Number(values.kills),
  seconds: Number(values.seconds),
  ...(values.rate !== undefined && { ratePerSecond: Number(values.rate) }),
  ...(values.requests !== undefined && { requests: Number(values.requests) }),
});
printReport(report, "table");
if (values.record) progress(`recorded in ${await recordReport(report, join(import.meta.dirname, "../results"))}`);
for (const { rule, what } of violations) console.error(`${rule}: ${what}`);
if (violations.length > 0) {
  console.error(
    `${violations.length} violations; to see it again: node test/campaign/main.ts ${process.argv.slice(2).join(" ")} --seed ${seed}`,
  );
  process.exitCode = 1;
}
