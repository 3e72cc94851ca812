import type { Command } from "commander";
import { formatUsd, parseUsd } from "#kernel";
import { BillingServiceService, UsageDimension, type UsageRow } from "#proto";
import { withConnection } from "../connection.ts";
import { sinceOption, untilOption } from "../instant.ts";
import { printRows } from "../output.ts";

const BY = [UsageDimension.USAGE_DIMENSION_DAY, UsageDimension.USAGE_DIMENSION_MODEL];

interface CostsOptions {
  readonly since: number;
  readonly until: number;
  readonly tenant?: string;
}

export function addCostsCommand(program: Command): void {
  program
    .command("costs")
    .description("money per day and model, before corrections (they are on the invoice)")
    .addOption(sinceOption())
    .addOption(untilOption())
    .option("--tenant <id>", "only this tenant's")
    .action((options: CostsOptions, command: Command) =>
      withConnection(command, async ({ channel, output, signal }) => {
        const { since: sinceMs, until: untilMs, tenant: tenantId = "" } = options;
        const { rows } = await channel.unary(BillingServiceService.getUsage, { by: BY, sinceMs, untilMs, tenantId }, { signal });
        printRows(output, output === "json" || rows.length === 0 ? rows : [...rows, total(rows)], [
          { title: "day", value: (row) => row.day },
          { title: "model", value: (row) => row.model },
          { title: "requests", value: (row) => row.requests, align: "right" },
          { title: "tokens", value: (row) => row.promptTokens + row.completionTokens + row.trainedTokens, align: "right" },
          { title: "usd", value: (row) => row.amountUsd, align: "right" },
        ]);
      }),
    );
}

type CostRow = Pick<UsageRow, "day" | "model" | "requests" | "promptTokens" | "completionTokens" | "trainedTokens" | "amountUsd">;

function total(rows: readonly UsageRow[]): CostRow {
  const sum = (value: (row: UsageRow) => number) => rows.reduce((all, row) => all + value(row), 0);
  return {
    ...{ day: "total", model: "", requests: sum((row) => row.requests), promptTokens: sum((row) => row.promptTokens) },
    completionTokens: sum((row) => row.completionTokens),
    trainedTokens: sum((row) => row.trainedTokens),
    amountUsd: formatUsd(rows.reduce((all, row) => all + parseUsd(row.amountUsd, "amount_usd"), 0n)),
  };
}
