import { CommanderError } from "commander";
import { exitCodeOf } from "./exit-code.ts";
import { printFault } from "./output.ts";
import { createProgram } from "./program.ts";

/** `deltaplane …`: parse, run, and leave with the exit code that the fault calls for. */
try {
  await createProgram().parseAsync(process.argv);
} catch (error) {
  if (!(error instanceof CommanderError)) printFault(error);
  process.exitCode = exitCodeOf(error);
}
