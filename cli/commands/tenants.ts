import type { Command } from "commander";
import { AdminServiceService, type Tenant } from "#proto";
import { withConnection } from "../connection.ts";
import { type Column, formatTime, printRows } from "../output.ts";

const COLUMNS: readonly Column<Tenant>[] = [
  { title: "tenant", value: (tenant) => tenant.id },
  { title: "created", value: (tenant) => formatTime(tenant.createdAtMs) },
];

export function addTenantsCommand(program: Command): void {
  const tenants = program.command("tenants").description("customers");

  tenants.command("add <id>").action((id: string, _options: unknown, command: Command) =>
    withConnection(command, async ({ channel, output, signal }) => {
      const { tenant } = await channel.unary(AdminServiceService.createTenant, { id }, { signal });
      printRows(output, tenant ? [tenant] : [], COLUMNS);
    }),
  );

  tenants.command("ls").action((_options: unknown, command: Command) =>
    withConnection(command, async ({ channel, output, signal }) => {
      const { tenants: listed } = await channel.unary(AdminServiceService.listTenants, {}, { signal });
      printRows(output, listed, COLUMNS);
    }),
  );
}
