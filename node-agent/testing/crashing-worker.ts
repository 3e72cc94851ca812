import { parentPort } from "node:worker_threads";
import type { LoadJob } from "../delta-cache/delta-load-job.ts";

// The real loading thread, but for one folder that it does not survive.
parentPort?.on("message", (job: LoadJob) => {
  if (job.directory === "crash") process.exit(7);
});
await import("../delta-cache/delta-load-worker.ts");
