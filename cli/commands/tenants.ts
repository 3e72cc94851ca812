import { type Command, InvalidArgumentError, Option } from "commander";
import { AdminServiceService, BudgetPeriod, type GrpcChannel, type Limits, type Tenant } from "#proto";
import { withConnection } from "../connection.ts";
import { type Column, formatTime, printData, printMessage, printRows } from "../output.ts";

const PERIODS = { month: BudgetPeriod.BUDGET_PERIOD_MONTH, ever: BudgetPeriod.BUDGET_PERIOD_EVER } as const;
type Period = keyof typeof PERIODS;

/** The flags of `set`, and what they are on the wire. */
const LIMITS = {
  requestsPerMinute: "--requests-per-minute",
  inputTokensPerMinute: "--input-tokens-per-minute",
  outputTokensPerMinute: "--output-tokens-per-minute",
  concurrentRequests: "--concurrent-requests",
  maxTokens: "--max-tokens",
} as const satisfies Record<keyof Limits, string>;
const LIMIT_NAMES = Object.keys(LIMITS) as (keyof Limits)[];

/** A limit, or its absence. */
type LimitWish = number | "none";

interface SetOptions extends Partial<Record<keyof Limits, LimitWish>> {
  readonly budgetUsd?: string;
  readonly budgetPeriod?: Period;
  readonly plan?: string;
}

const COLUMNS: readonly Column<Tenant>[] = [
  { title: "tenant", value: (tenant) => tenant.id },
  { title: "plan", value: (tenant) => tenant.pricePlan },
  { title: "budget", value: budgetText },
  { title: "limits", value: limitsText },
  { title: "created", value: (tenant) => formatTime(tenant.createdAtMs) },
  { title: "suspended", value: (tenant) => (tenant.suspendedAtMs === 0 ? "" : formatTime(tenant.suspendedAtMs)) },
];

export function addTenantsCommand(program: Command): void {
  const tenants = program.command("tenants").description("customers: limits, budgets, suspension");

  tenants.command("add <id>").action((id: string, _options: unknown, command: Command) =>
    withConnection(command, async ({ adminChannel, output, signal }) => {
      const { tenant } = await adminChannel.unary(AdminServiceService.createTenant, { id }, { signal });
      printRows(output, tenant ? [tenant] : [], COLUMNS);
    }),
  );

  tenants.command("ls").action((_options: unknown, command: Command) =>
    withConnection(command, async ({ adminChannel, output, signal }) => {
      const { tenants: listed } = await adminChannel.unary(AdminServiceService.listTenants, {}, { signal });
      printRows(output, listed, COLUMNS);
    }),
  );

  tenants
    .command("show <id>")
    .description("with what it has in progress and has spent")
    .action((id: string, _options: unknown, command: Command) =>
      withConnection(command, async ({ adminChannel, output, signal }) => {
        const { tenant, requestsRunning, heldUsd, spentUsd } = await adminChannel.unary(AdminServiceService.getTenant, { id }, { signal });
        if (output === "json") {
          printData(JSON.stringify({ ...tenant, requestsRunning, heldUsd, spentUsd }, null, 2));
          return;
        }
        printRows(output, tenant ? [tenant] : [], COLUMNS);
        printMessage(`${requestsRunning} requests running, $${spentUsd} spent, $${heldUsd} held`);
      }),
    );

  addSetCommand(tenants);
  addSwitch(tenants, "suspend", "refuse its keys everywhere within 5 s, and end what runs for it", (admin, id, signal) =>
    admin.unary(AdminServiceService.suspendTenant, { id }, { signal }),
  );
  addSwitch(tenants, "resume", "undo a suspension", (admin, id, signal) =>
    admin.unary(AdminServiceService.resumeTenant, { id }, { signal }),
  );
}

function addSetCommand(tenants: Command): void {
  const command = tenants.command("set <id>").description("change limits, budget or plan; `none` takes a limit or the budget away");
  for (const flag of Object.values(LIMITS)) command.option(`${flag} <n>`, "", limit);
  command
    .option("--budget-usd <amount>", "a hard cap on what it may spend, like 12.5")
    .addOption(new Option("--budget-period <period>", "of each calendar month, or once and for all").choices(Object.keys(PERIODS)))
    .option("--plan <name>", "the series of price lists that it pays by")
    .action((id: string, options: SetOptions, self: Command) =>
      withConnection(self, async ({ adminChannel, output, signal }) => {
        const { tenant: before } = await adminChannel.unary(AdminServiceService.getTenant, { id }, { signal });
        const { tenant } = await adminChannel.unary(AdminServiceService.updateTenant, changeOf(before!, options), { signal });
        printRows(output, tenant ? [tenant] : [], COLUMNS);
      }),
    );
}

type Switch = (admin: GrpcChannel, id: string, signal: AbortSignal) => Promise<{ tenant: Tenant | undefined }>;

function addSwitch(tenants: Command, name: string, description: string, turn: Switch): void {
  tenants
    .command(`${name} <id>`)
    .description(description)
    .action((id: string, _options: unknown, command: Command) =>
      withConnection(command, async ({ adminChannel, output, signal }) => {
        const { tenant } = await turn(adminChannel, id, signal);
        printRows(output, tenant ? [tenant] : [], COLUMNS);
      }),
    );
}

/** The wire replaces all limits at once, so those that were not named are sent as they were. */
function changeOf(before: Tenant, options: SetOptions) {
  const limits: Limits = { ...before.limits };
  for (const name of LIMIT_NAMES) {
    const wish = options[name];
    if (wish !== undefined) limits[name] = wish === "none" ? undefined : wish;
  }
  const named = LIMIT_NAMES.some((name) => options[name] !== undefined);
  return {
    id: before.id,
    limits: named ? limits : undefined,
    ...budgetChange(before, options),
    pricePlan: options.plan ?? "",
  };
}

function budgetChange({ budget: before }: Tenant, { budgetUsd, budgetPeriod }: SetOptions) {
  if (budgetUsd === "none") return { budget: undefined, removeBudget: true };
  const usd = budgetUsd ?? (budgetPeriod === undefined ? undefined : before?.usd);
  if (usd === undefined) return { budget: undefined, removeBudget: false };
  const period = budgetPeriod === undefined ? (before?.period ?? PERIODS.month) : PERIODS[budgetPeriod];
  return { budget: { usd, period }, removeBudget: false };
}

function limit(text: string): LimitWish {
  if (text === "none") return text;
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("neither a whole number nor none");
  return Number(text);
}

function budgetText({ budget }: Tenant): string {
  if (!budget) return "-";
  return `$${budget.usd} ${budget.period === BudgetPeriod.BUDGET_PERIOD_EVER ? "once" : "a month"}`;
}

function limitsText({ limits }: Tenant): string {
  const set = LIMIT_NAMES.filter((name) => limits?.[name] !== undefined);
  return set.length === 0 ? "-" : set.map((name) => `${LIMITS[name].slice(2)}=${limits?.[name]}`).join(" ");
}
