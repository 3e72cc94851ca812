import { type Command, InvalidArgumentError } from "commander";
import { type Alias, type AliasTarget, ModelServiceService } from "#proto";
import { withConnection } from "../connection.ts";
import { type Column, formatTime, printMessage, printRows } from "../output.ts";

const COLUMNS: readonly Column<Alias>[] = [
  { title: "alias", value: (alias) => alias.name },
  { title: "targets", value: (alias) => targetsText(alias.targets) },
  { title: "before", value: ({ previous: [last] }) => (last ? `${targetsText(last.targets)} until ${formatTime(last.untilMs)}` : "") },
];

export function addAliasCommand(program: Command): void {
  const aliases = program.command("alias").description("names that point at versions, canary by weight");

  aliases
    .command("set")
    .argument("<name>")
    .argument("<delta[=weight]...>", "", (text: string, before: AliasTarget[] | undefined) => [...(before ?? []), parseTarget(text)])
    .description("point <tenant>/<name> at a delta, or split its traffic: alias set acme/bot ft:…:v1=90 ft:…:v2=10")
    .action((name: string, targets: AliasTarget[], _options: unknown, command: Command) =>
      withConnection(command, async ({ channel, output, signal }) => {
        const wish = { name, targets, previous: [] };
        const { alias } = await channel.unary(ModelServiceService.setAlias, { alias: wish }, { signal });
        printRows(output, alias ? [alias] : [], COLUMNS);
      }),
    );

  aliases.command("ls").action((_options: unknown, command: Command) =>
    withConnection(command, async ({ channel, output, signal }) => {
      const { aliases: listed } = await channel.unary(ModelServiceService.listAliases, {}, { signal });
      printRows(output, listed, COLUMNS);
    }),
  );

  aliases
    .command("rollback <name>")
    .description("point it back at what it pointed at before the last change")
    .action((name: string, _options: unknown, command: Command) =>
      withConnection(command, async ({ channel, output, signal }) => {
        const { alias } = await channel.unary(ModelServiceService.rollBackAlias, { name }, { signal });
        printRows(output, alias ? [alias] : [], COLUMNS);
      }),
    );

  aliases.command("rm <name>").action((name: string, _options: unknown, command: Command) =>
    withConnection(command, async ({ channel, signal }) => {
      await channel.unary(ModelServiceService.removeAlias, { name }, { signal });
      printMessage(`removed ${name}`);
    }),
  );
}

function targetsText(targets: readonly AliasTarget[]): string {
  return targets.map(({ delta, weight }) => `${delta}=${weight}`).join(" ");
}

function parseTarget(text: string): AliasTarget {
  const [, delta, weight] = /^([^=]+)(?:=(\d{1,6}))?$/.exec(text) ?? [];
  if (delta === undefined) throw new InvalidArgumentError(`${text} is not DELTA or DELTA=WEIGHT`);
  return { delta, weight: weight === undefined ? 1 : Number(weight) };
}
