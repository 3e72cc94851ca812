import { systemClock } from "#kernel";
import { startEngineProcess } from "../process/process-engine.ts";
import { sequenceSpec } from "./sequence-spec.ts";
import { TOY_LIMITS } from "./toy-runner.ts";

/** An agent that is in the middle of a text until somebody kills it. Its engine says its process id. */
const engine = await startEngineProcess(
  { clock: systemClock, entry: new URL("./toy-engine-process.ts", import.meta.url) },
  { directory: "/says-pid", name: "toy", threads: 1, limits: TOY_LIMITS, engine: {} },
);
for (;;) {
  for await (const _ of engine.generate(sequenceSpec({ maxTokens: 100 }), new AbortController().signal));
}
