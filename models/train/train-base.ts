import { join } from "node:path";
import { parseArgs } from "node:util";
import { openCheckpoint } from "#model";
import { basePlan, createUntrained, trainBase } from "./demo-base.ts";

// Trains the demo's base with our own trainer, from nothing or from a base that is there; see README.md.

const { values: options } = parseArgs({
  options: {
    documents: { type: "string" },
    like: { type: "string", default: join(import.meta.dirname, "../demo-base") },
    from: { type: "string" },
    into: { type: "string", default: ".deltaplane/train-base" },
    rate: { type: "string", default: "2.5e-3" },
    steps: { type: "string", default: "2000" },
  },
});
if (options.documents === undefined) throw new Error("--documents FILE: what dump_data.py --base wrote");

const untrained = join(options.into, "untrained");
if (options.from === undefined) await createUntrained(await openCheckpoint(options.like, { name: "demo-base" }), untrained);
const run = { plan: basePlan(Number(options.rate)), steps: Number(options.steps), documents: options.documents, into: options.into };
const trained = await trainBase(options.from ?? untrained, run, (line) => console.error(line));
console.log(JSON.stringify(trained));
