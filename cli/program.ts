import { Command, Option } from "commander";
import { addAliasCommand } from "./commands/alias.ts";
import { addBasesCommand } from "./commands/bases.ts";
import { addBenchCommand } from "./commands/bench.ts";
import { addBillingCommand } from "./commands/billing.ts";
import { addCostsCommand } from "./commands/costs.ts";
import { addDataCommand } from "./commands/data.ts";
import { addDeltasCommand } from "./commands/deltas.ts";
import { addDoctorCommand } from "./commands/doctor.ts";
import { addDrainCommand, addUndrainCommand } from "./commands/drain.ts";
import { addFtCommand } from "./commands/ft.ts";
import { addInvoiceCommand } from "./commands/invoice.ts";
import { addKeysCommand } from "./commands/keys.ts";
import { addNodeAgentCommand } from "./commands/node-agent.ts";
import { addPricesCommand } from "./commands/prices.ts";
import { addProjectsCommand } from "./commands/projects.ts";
import { addPsCommand } from "./commands/ps.ts";
import { addRouterCommand } from "./commands/router.ts";
import { addRunCommand } from "./commands/run.ts";
import { addSchedulerCommand } from "./commands/scheduler.ts";
import { addSimulateCommand } from "./commands/simulate.ts";
import { addStatusCommand } from "./commands/status.ts";
import { addTenantsCommand } from "./commands/tenants.ts";
import { addTopCommand } from "./commands/top.ts";
import { addTrainerCommand } from "./commands/trainer.ts";
import { addUpCommand } from "./commands/up.ts";
import { addUsageCommand } from "./commands/usage.ts";
import { addWandbCommand } from "./commands/wandb.ts";
import { VERSION } from "./version.ts";

/** The whole command line. Each command file adds itself; nothing runs until parse. */
export function createProgram(): Command {
  const program = new Command("deltaplane")
    .description("Serve thousands of fine-tuned models from a few shared bases, and bill per token.")
    .version(VERSION)
    .addOption(new Option("--server <host:port>", "the router's gRPC address").env("DELTAPLANE_SERVER"))
    .addOption(new Option("--admin-server <host:port>", "its address for operators").env("DELTAPLANE_ADMIN_SERVER"))
    .addOption(new Option("--key <key>", "API key (better: set DELTAPLANE_KEY)").env("DELTAPLANE_KEY"))
    .addOption(new Option("--tls-ca <file>", "speak TLS to it, and trust what this CA has signed").env("DELTAPLANE_CA"))
    .addOption(new Option("--context <name>", "a named server and key from contexts.json").env("DELTAPLANE_CONTEXT"))
    .addOption(new Option("-o, --output <format>", "how to print data").choices(["table", "json"]).default("table"))
    .showSuggestionAfterError()
    .exitOverride()
    .addHelpText(
      "after",
      `
Examples:
  deltaplane up                                     a whole cluster on this machine, with demo models
  deltaplane deltas push ./my-delta --base demo-base --name support
  deltaplane run acme/support "How do I reset my password?"
  deltaplane ft create -t examples.jsonl            train a model and call it at once
  deltaplane ps                                     which delta is hot where
  deltaplane usage --by tenant,model

Exit codes: 0 ok, 1 failure, 2 usage (also found only by the server), 3 auth, 4 not found, 5 quota, 130 interrupted`,
    );
  for (const add of [
    addUpCommand,
    addRouterCommand,
    addSchedulerCommand,
    addNodeAgentCommand,
    addTrainerCommand,
    addBasesCommand,
    addDeltasCommand,
    addAliasCommand,
    addDataCommand,
    addFtCommand,
    addWandbCommand,
    addRunCommand,
    addPsCommand,
    addStatusCommand,
    addDrainCommand,
    addUndrainCommand,
    addTopCommand,
    addUsageCommand,
    addCostsCommand,
    addInvoiceCommand,
    addBillingCommand,
    addPricesCommand,
    addTenantsCommand,
    addProjectsCommand,
    addKeysCommand,
    addDoctorCommand,
    addSimulateCommand,
    addBenchCommand,
  ]) {
    add(program);
  }
  return program;
}
