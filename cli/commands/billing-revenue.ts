import type { Command } from "commander";
import { BillingServiceService } from "#proto";
import { withConnection } from "../connection.ts";
import { sinceOption, untilOption } from "../instant.ts";
import { printData, printRows } from "../output.ts";

export function addBillingRevenueCommand(billing: Command): void {
  billing
    .command("revenue")
    .description("what tokens earned beside what GPUs cost, and what renting one per model would have cost; whole days")
    .addOption(sinceOption())
    .addOption(untilOption())
    .action((options: { since: number; until: number }, command: Command) =>
      withConnection(command, async ({ channel, output, signal }) => {
        const request = { sinceMs: options.since, untilMs: options.until };
        const report = await channel.unary(BillingServiceService.getRevenueReport, request, { signal });
        if (output === "json") {
          printData(JSON.stringify(report, null, 2));
          return;
        }
        printRows(output, report.bases, [
          { title: "base", value: (row) => row.base },
          { title: "tokens", value: (row) => row.tokens, align: "right" },
          { title: "revenue usd", value: (row) => row.revenueUsd, align: "right" },
          { title: "gpu hours", value: (row) => row.gpuHours.toFixed(2), align: "right" },
          { title: "gpu cost usd", value: (row) => row.gpuCostUsd, align: "right" },
        ]);
        printData("");
        printRows(output, report.tenants, [
          { title: "tenant", value: (row) => row.tenantId },
          { title: "base", value: (row) => row.base },
          { title: "tokens", value: (row) => row.tokens, align: "right" },
          { title: "paid usd", value: (row) => row.revenueUsd, align: "right" },
          { title: "share of gpu hours", value: (row) => row.gpuHours.toFixed(2), align: "right" },
          { title: "hours if rented", value: (row) => row.rentedGpuHours.toFixed(2), align: "right" },
          { title: "usd if rented", value: (row) => row.rentedCostUsd, align: "right" },
        ]);
      }),
    );
}
