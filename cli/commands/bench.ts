import type { Command } from "commander";
import { Fault } from "#kernel";
import { outputOf } from "../connection.ts";
import { printMessage } from "../output.ts";

export function addBenchCommand(program: Command): void {
  program
    .command("bench <name>")
    .description("measure this machine: engine, serve, router, ledger, scheduler, train")
    .option("--base <dir>", "measure this Hugging Face folder instead of the generated models")
    .option("--deltas <dirs...>", "with these PEFT folders")
    .option("--python <path>", "compare training with this Python's torch and peft")
    .option("--quick", "fewer repeats: for a first look, not for figures to quote")
    .option("--record", "also write the table to bench/results/")
    .action(
      async (
        name: string,
        options: { base?: string; deltas?: string[]; python?: string; quick?: boolean; record?: boolean },
        command: Command,
      ) => {
        // Commands import what they run when they run: `ps` must not wait for an inference runtime to load.
        const { benches, printReport, recordReport } = await import("#bench");
        const bench = benches[name];
        if (!bench) {
          throw new Fault("resource_unknown", `no bench ${name}; there are ${Object.keys(benches).join(", ")}`, {
            detail: { resource: name },
          });
        }
        const report = await bench({ ...options, progress: printMessage });
        printReport(report, outputOf(command));
        if (options.record) printMessage(`recorded in ${await recordReport(report)}`);
      },
    );
}
