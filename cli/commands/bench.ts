import { type Command, Option } from "commander";
import type { BenchOptions } from "#bench";
import { Fault } from "#kernel";
import { outputOf } from "../connection.ts";
import { PROVIDERS, WEIGHT_FORMATS } from "../devices/engine-options.ts";
import { printMessage } from "../output.ts";

type BenchFlags = Pick<BenchOptions, "base" | "deltas" | "python" | "ep" | "weights" | "quick"> & { readonly record?: boolean };

export function addBenchCommand(program: Command): void {
  program
    .command("bench <name>")
    .description(
      "measure this machine: engine, cold-start, serve, prefix, quantised, speculation, llama-cpp, router, ledger, scheduler, train",
    )
    .option("--base <dir>", "measure this Hugging Face folder instead of the generated models")
    .option("--deltas <dirs...>", "with these PEFT folders")
    .option("--python <path>", "train, llama-cpp: compare with this Python's torch and peft, llama_cpp and gguf")
    .addOption(new Option("--ep <provider>", "engine: where to compute").choices(PROVIDERS))
    .addOption(new Option("--weights <format>", "engine: how weights lie in memory").choices(WEIGHT_FORMATS))
    .option("--quick", "fewer repeats: for a first look, not for figures to quote")
    .option("--record", "also write the table to bench/results/")
    .action(async (name: string, options: BenchFlags, command: Command) => {
      // Commands import what they run when they run: `ps` must not wait for an inference runtime to load.
      const { benches, printReport, recordReport } = await import("#bench");
      const bench = benches[name];
      if (!bench) {
        throw new Fault("parameter_invalid", `no bench ${name}; there are ${Object.keys(benches).join(", ")}`, {
          detail: { field: "name" },
        });
      }
      const report = await bench({ ...options, progress: printMessage });
      printReport(report, outputOf(command));
      if (options.record) printMessage(`recorded in ${await recordReport(report)}`);
    });
}
