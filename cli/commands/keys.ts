import { type Command, InvalidArgumentError, Option } from "commander";
import { DAY, HOUR } from "#kernel";
import { AdminServiceService, type Key, Scope } from "#proto";
import { withConnection } from "../connection.ts";
import { type Column, formatTime, printData, printMessage, printRows } from "../output.ts";

const SCOPES = { infer: Scope.SCOPE_INFER, train: Scope.SCOPE_TRAIN, admin: Scope.SCOPE_ADMIN } as const;

const COLUMNS: readonly Column<Key>[] = [
  { title: "key", value: (key) => key.id },
  { title: "tenant", value: (key) => key.tenantId || "(operator)" },
  { title: "project", value: (key) => key.projectId || "-" },
  { title: "name", value: (key) => key.name },
  { title: "scopes", value: (key) => key.scopes.map(scopeName).join(",") },
  { title: "created", value: (key) => formatTime(key.createdAtMs) },
  { title: "expires", value: (key) => formatTime(key.expiresAtMs) },
  { title: "last used", value: (key) => formatTime(key.lastUsedAtMs) },
  { title: "revoked", value: (key) => (key.revoked ? "yes" : "") },
];

interface CreateOptions {
  readonly tenant?: string;
  readonly project?: string;
  readonly name?: string;
  readonly scopes: Scope[];
  readonly expires: number;
}

export function addKeysCommand(program: Command): void {
  const keys = program.command("keys").description("API keys");

  keys
    .command("create")
    .description("prints the secret once; it is stored hashed")
    .option("--tenant <id>", "whose key (none: an operator's, with --scopes admin)")
    .option("--project <id>", "of which of its projects (default: default)")
    .option("--name <text>", "a note of what it is for")
    .addOption(new Option("--scopes <scopes>", "infer,train,admin").argParser(scopes).default([Scope.SCOPE_INFER], "infer"))
    .addOption(new Option("--expires <when>", "refused from then on: a date, or 90d, 12h").argParser(expiry).default(0, "never"))
    .action((options: CreateOptions, command: Command) =>
      withConnection(command, async ({ adminChannel, output, signal }) => {
        const request = {
          tenantId: options.tenant ?? "",
          projectId: options.project ?? "",
          name: options.name ?? "",
          scopes: options.scopes,
          expiresAtMs: options.expires,
        };
        const { key, secret } = await adminChannel.unary(AdminServiceService.createKey, request, { signal });
        printData(output === "json" ? JSON.stringify({ ...key, secret }, null, 2) : secret);
        printMessage("keep it: it is not shown again");
      }),
    );

  keys
    .command("ls")
    .option("--tenant <id>", "only this tenant's")
    .action((options: { tenant?: string }, command: Command) =>
      withConnection(command, async ({ adminChannel, output, signal }) => {
        const { keys: listed } = await adminChannel.unary(AdminServiceService.listKeys, { tenantId: options.tenant ?? "" }, { signal });
        printRows(output, listed, COLUMNS);
      }),
    );

  keys
    .command("revoke <id>")
    .description("refused everywhere within 5 s, and what runs with it ends")
    .action((id: string, _options: unknown, command: Command) =>
      withConnection(command, async ({ adminChannel, output, signal }) => {
        const { key } = await adminChannel.unary(AdminServiceService.revokeKey, { id }, { signal });
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

const UNIT_MS = { d: DAY, h: HOUR } as const;

function expiry(text: string): number {
  const [, count, unit] = /^(\d{1,5})([dh])$/.exec(text) ?? [];
  if (count !== undefined) return Date.now() + Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS];
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new InvalidArgumentError("neither a date nor 90d, 12h");
  return at;
}
