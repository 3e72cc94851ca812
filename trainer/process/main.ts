import { serveInThisProcess } from "./serve-process.ts";

// The program of the trainer's process: one training, from its messages to its result.
serveInThisProcess();
