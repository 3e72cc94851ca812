import { CommanderError } from "commander";
import { exitCodeOf } from "./exit-code.ts";
import { printFault } from "./output.ts";
import { createProgram } from "./program.ts";

/** A reader that has seen enough, like `head`, closes the pipe: that is no failure. */
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit();
  throw error;
});

/** `deltaplane …`: parse, run, and leave with the exit code that the fault calls for. */
try {
  await createProgram().parseAsync(process.argv);
} catch (error) {
  if (!(error instanceof CommanderError)) printFault(error);
  process.exitCode = exitCodeOf(error);
}
