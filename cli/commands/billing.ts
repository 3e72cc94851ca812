import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import { BillingServiceService } from "#proto";
import { withConnection } from "../connection.ts";
import { printData } from "../output.ts";
import { addBillingExportCommand } from "./billing-export.ts";
import { addBillingRevenueCommand } from "./billing-revenue.ts";
import { addBillingVerifyCommand } from "./billing-verify.ts";

interface CorrectOptions {
  readonly amount: string;
  readonly reason: string;
  readonly request?: string;
  readonly id?: string;
}

export function addBillingCommand(program: Command): void {
  const billing = program.command("billing").description("exports, the recount of the ledger, corrections, revenue");
  addBillingExportCommand(billing);
  addBillingVerifyCommand(billing);
  addBillingRevenueCommand(billing);

  billing
    .command("correct <tenant>")
    .description("a new entry that gives back (negative) or adds to what was charged; nothing is ever changed")
    .requiredOption("--amount <usd>", "dollars, like -1.25")
    .requiredOption("--reason <text>", "stands on the invoice")
    .option("--request <id>", "the request that it is about")
    .option("--id <id>", "the same id again posts nothing (default: a new one)")
    .action((tenantId: string, options: CorrectOptions, command: Command) =>
      withConnection(command, async ({ channel, output, signal }) => {
        const { amount: amountUsd, reason, request: requestId = "", id = randomUUID() } = options;
        const correction = { id, tenantId, requestId, amountUsd, reason };
        const { position } = await channel.unary(BillingServiceService.postCorrection, correction, { signal });
        printData(
          output === "json"
            ? JSON.stringify({ ...correction, position }, null, 2)
            : `${id} posted as line ${position} of ${tenantId}'s book`,
        );
      }),
    );
}
