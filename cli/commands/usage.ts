import { type Command, InvalidArgumentError } from "commander";
import { BillingServiceService, UsageDimension, type UsageRow } from "#proto";
import { withConnection } from "../connection.ts";
import { type Column, printRows } from "../output.ts";

const DIMENSIONS = {
  tenant: { wire: UsageDimension.USAGE_DIMENSION_TENANT, column: { title: "tenant", value: (row: UsageRow) => row.tenantId } },
  model: { wire: UsageDimension.USAGE_DIMENSION_MODEL, column: { title: "model", value: (row: UsageRow) => row.model } },
  key: { wire: UsageDimension.USAGE_DIMENSION_KEY, column: { title: "key", value: (row: UsageRow) => row.keyId } },
  day: { wire: UsageDimension.USAGE_DIMENSION_DAY, column: { title: "day", value: (row: UsageRow) => row.day } },
} as const;
type Dimension = keyof typeof DIMENSIONS;

const SUMS: readonly Column<UsageRow>[] = [
  { title: "requests", value: (row) => row.requests, align: "right" },
  { title: "prompt tokens", value: (row) => row.promptTokens, align: "right" },
  { title: "cached tokens", value: (row) => row.cachedTokens, align: "right" },
  { title: "completion tokens", value: (row) => row.completionTokens, align: "right" },
];

export function addUsageCommand(program: Command): void {
  program
    .command("usage")
    .description("what was consumed, from the ledger")
    .option("--by <dimensions>", "tenant,model,key,day", dimensions, ["tenant", "model"] as Dimension[])
    .option("--since <when>", "a date, or 7d, 24h, 30m", instant, 0)
    .action((options: { by: Dimension[]; since: number }, command: Command) =>
      withConnection(command, async ({ channel, output, signal }) => {
        const request = { by: options.by.map((name) => DIMENSIONS[name].wire), sinceMs: options.since, untilMs: 0 };
        const { rows } = await channel.unary(BillingServiceService.getUsage, request, { signal });
        printRows(output, rows, [...options.by.map((name) => DIMENSIONS[name].column), ...SUMS]);
      }),
    );
}

function dimensions(text: string): Dimension[] {
  return text.split(",").map((name) => {
    if (!(name in DIMENSIONS)) throw new InvalidArgumentError(`${name} is none of ${Object.keys(DIMENSIONS).join(", ")}`);
    return name as Dimension;
  });
}

const UNIT_MS = { d: 86_400_000, h: 3_600_000, m: 60_000 } as const;

function instant(text: string): number {
  const [, count, unit] = /^(\d+)([dhm])$/.exec(text) ?? [];
  if (count !== undefined) return Date.now() - Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS];
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new InvalidArgumentError("neither a date nor 7d, 24h, 30m");
  return at;
}
