import { Fault } from "#kernel";
import { serveInThisProcess } from "../process/serve-process.ts";
import { ToyRunner } from "./toy-runner.ts";

/** This prompt makes the process end in the middle of its third step, as kill -9 or a native crash would. */
const DEADLY_PROMPT = "66,66,66";

/** As the runtime says it when the driver was reset under a step. */
const DEVICE_LOST = "Failed to download data from buffer: Device was lost: A valid external Instance reference no longer exists.";

/** What a step of a real runner does to the loop that it runs on. */
const STEP_MS = 2;

serveInThisProcess(async ({ directory, limits }) => {
  if (directory === "/missing") throw new Fault("file_missing", "config.json: it is not there", { detail: { file: "config.json" } });
  const runner = new ToyRunner(limits);
  let deadlySteps = 0;
  runner.beforeRun = (rows) => {
    if (directory === "/breaks") throw new Error("the runtime has had enough");
    if (directory === "/loses-device" && runner.steps.length === 3) throw new Error(DEVICE_LOST);
    if (directory === "/hangs" && runner.steps.length === 3) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    const until = performance.now() + STEP_MS;
    while (performance.now() < until);
    if (rows.some(({ tokens }) => tokens.join() === DEADLY_PROMPT) || deadlySteps > 0) deadlySteps++;
    if (deadlySteps === 3) process.kill(process.pid, "SIGKILL");
  };
  if (directory === "/says-pid") console.log(`engine ${process.pid}`);
  return runner;
});
