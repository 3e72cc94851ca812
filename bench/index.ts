import { benchColdStart } from "./cold-start.ts";
import { benchEngine } from "./engine.ts";
import { benchLedger } from "./ledger.ts";
import { benchLlamaCpp } from "./llama-cpp.ts";
import { benchPrefix } from "./prefix.ts";
import { benchQuantised } from "./quantised.ts";
import type { Bench } from "./report.ts";
import { benchRouter } from "./router.ts";
import { benchScheduler } from "./scheduler.ts";
import { benchServe } from "./serve.ts";
import { benchSpeculation } from "./speculation.ts";
import { benchTrain } from "./train.ts";

export { recordReport } from "./recorder.ts";
export { type BenchOptions, type BenchReport, type BenchRow, createReport } from "./report.ts";
export { formatTable, printReport } from "./table.ts";

/** `deltaplane bench NAME`. The names and the keys of each summary are promised in the interfaces. */
export const benches: Readonly<Record<string, Bench>> = {
  engine: benchEngine,
  "cold-start": benchColdStart,
  serve: benchServe,
  prefix: benchPrefix,
  quantised: benchQuantised,
  speculation: benchSpeculation,
  router: benchRouter,
  ledger: benchLedger,
  scheduler: benchScheduler,
  train: benchTrain,
  "llama-cpp": benchLlamaCpp,
};
