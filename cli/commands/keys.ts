import { type Command, InvalidArgumentError } from "commander";
import { AdminServiceService, type Key, Scope } from "#proto";
import { withConnection } from "../connection.ts";
import { type Column, formatTime, printData, printMessage, printRows } from "../output.ts";

const SCOPES = { infer: Scope.SCOPE_INFER, train: Scope.SCOPE_TRAIN, admin: Scope.SCOPE_ADMIN } as const;

const COLUMNS: readonly Column<Key>[] = [
  { title: "key", value: (key) => key.id },
  { title: "tenant", value: (key) => key.tenantId || "(operator)" },
  { title: "scopes", value: (key) => key.scopes.map(scopeName).join(",") },
  { title: "created", value: (key) => formatTime(key.createdAtMs) },
  { title: "expires", value: (key) => formatTime(key.expiresAtMs) },
  { title: "revoked", value: (key) => (key.revoked ? "yes" : "") },
];

export function addKeysCommand(program: Command): void {
  const keys = program.command("keys").description("API keys");

  keys
    .command("create")
    .description("prints the secret once; it is stored hashed")
    .requiredOption("--tenant <id>", "whose key")
    .option("--scopes <scopes>", "infer,train,admin", scopes, [Scope.SCOPE_INFER] as Scope[])
    .option("--expires <date>", "refused from then on", date, 0)
    .action((options: { tenant: string; scopes: Scope[]; expires: number }, command: Command) =>
      withConnection(command, async ({ channel, output, signal }) => {
        const request = { tenantId: options.tenant, scopes: options.scopes, expiresAtMs: options.expires };
        const { key, secret } = await channel.unary(AdminServiceService.createKey, request, { signal });
        printData(output === "json" ? JSON.stringify({ ...key, secret }, null, 2) : secret);
        printMessage("keep it: it is not shown again");
      }),
    );

  keys
    .command("ls")
    .option("--tenant <id>", "only this tenant's")
    .action((options: { tenant?: string }, command: Command) =>
      withConnection(command, async ({ channel, output, signal }) => {
        const { keys: listed } = await channel.unary(AdminServiceService.listKeys, { tenantId: options.tenant ?? "" }, { signal });
        printRows(output, listed, COLUMNS);
      }),
    );

  keys.command("revoke <id>").action((id: string, _options: unknown, command: Command) =>
    withConnection(command, async ({ channel, output, signal }) => {
      const { key } = await channel.unary(AdminServiceService.revokeKey, { id }, { signal });
      printRows(output, key ? [key] : [], COLUMNS);
    }),
  );
}

function scopeName(scope: Scope): string {
  return Object.entries(SCOPES).find(([, wire]) => wire === scope)?.[0] ?? String(scope);
}

function scopes(text: string): Scope[] {
  return text.split(",").map((name) => {
    if (!(name in SCOPES)) throw new InvalidArgumentError(`${name} is none of ${Object.keys(SCOPES).join(", ")}`);
    return SCOPES[name as keyof typeof SCOPES];
  });
}

function date(text: string): number {
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new InvalidArgumentError("not a date");
  return at;
}
