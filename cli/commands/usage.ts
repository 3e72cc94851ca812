import { type Command, InvalidArgumentError, Option } from "commander";
import { BillingServiceService, UsageDimension, type UsageRow } from "#proto";
import { withConnection } from "../connection.ts";
import { sinceOption, untilOption } from "../instant.ts";
import { type Column, formatTime, printRows } from "../output.ts";

const DIMENSIONS = {
  tenant: { wire: UsageDimension.USAGE_DIMENSION_TENANT, value: (row: UsageRow) => row.tenantId },
  model: { wire: UsageDimension.USAGE_DIMENSION_MODEL, value: (row: UsageRow) => row.model },
  key: { wire: UsageDimension.USAGE_DIMENSION_KEY, value: (row: UsageRow) => row.keyId },
  day: { wire: UsageDimension.USAGE_DIMENSION_DAY, value: (row: UsageRow) => row.day },
  hour: { wire: UsageDimension.USAGE_DIMENSION_HOUR, value: (row: UsageRow) => formatTime(row.startMs) },
  minute: { wire: UsageDimension.USAGE_DIMENSION_MINUTE, value: (row: UsageRow) => formatTime(row.startMs) },
  project: { wire: UsageDimension.USAGE_DIMENSION_PROJECT, value: (row: UsageRow) => row.projectId },
  base: { wire: UsageDimension.USAGE_DIMENSION_BASE, value: (row: UsageRow) => row.base },
  price: { wire: UsageDimension.USAGE_DIMENSION_PRICE_VERSION, value: (row: UsageRow) => row.priceVersion },
} as const;
type Dimension = keyof typeof DIMENSIONS;

const SUMS: readonly Column<UsageRow>[] = [
  { title: "requests", value: (row) => row.requests, align: "right" },
  { title: "prompt tokens", value: (row) => row.promptTokens, align: "right" },
  { title: "cached tokens", value: (row) => row.cachedTokens, align: "right" },
  { title: "completion tokens", value: (row) => row.completionTokens, align: "right" },
  { title: "trained tokens", value: (row) => row.trainedTokens, align: "right" },
  { title: "usd", value: (row) => row.amountUsd, align: "right" },
];

interface UsageOptions {
  readonly by: readonly Dimension[];
  readonly since: number;
  readonly until: number;
  readonly tenant?: string;
}

export function addUsageCommand(program: Command): void {
  program
    .command("usage")
    .description("what was consumed and charged, from the ledger")
    .addOption(
      new Option("--by <dimensions>", Object.keys(DIMENSIONS).join(",")).argParser(dimensions).default(["tenant", "model"], "tenant,model"),
    )
    .addOption(sinceOption())
    .addOption(untilOption())
    .option("--tenant <id>", "only this tenant's")
    .action((options: UsageOptions, command: Command) =>
      withConnection(command, async ({ channel, output, signal }) => {
        const { since: sinceMs, until: untilMs, tenant: tenantId = "" } = options;
        const request = { by: options.by.map((name) => DIMENSIONS[name].wire), sinceMs, untilMs, tenantId };
        const { rows } = await channel.unary(BillingServiceService.getUsage, request, { signal });
        printRows(output, rows, [...options.by.map((name) => ({ title: name, value: DIMENSIONS[name].value })), ...SUMS]);
      }),
    );
}

function dimensions(text: string): readonly Dimension[] {
  return text.split(",").map((name) => {
    if (!Object.hasOwn(DIMENSIONS, name)) throw new InvalidArgumentError(`${name} is none of ${Object.keys(DIMENSIONS).join(", ")}`);
    return name as Dimension;
  });
}
