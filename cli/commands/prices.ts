import type { Command } from "commander";
import { AdminServiceService, type PriceList, type Prices } from "#proto";
import { withConnection } from "../connection.ts";
import { formatTime, type OutputFormat, printRows } from "../output.ts";

export function addPricesCommand(program: Command): void {
  const prices = program.command("prices").description("price lists: dollars per million tokens; each is a new version");

  prices
    .command("set <file>")
    .description("add a price list from a JSON file as the next version (docs/billing.md)")
    .action((file: string, _options: unknown, command: Command) =>
      withConnection(command, async ({ adminChannel, output, signal }) => {
        const { readPriceFile } = await import("../price-file.ts");
        const priceList = readPriceFile(file);
        const added = await adminChannel.unary(AdminServiceService.addPriceList, { priceList }, { signal });
        print(output, added.priceList ? [added.priceList] : []);
      }),
    );

  prices
    .command("ls")
    .description("all of them")
    .action((_options: unknown, command: Command) =>
      withConnection(command, async ({ adminChannel, output, signal }) => {
        const { priceLists } = await adminChannel.unary(AdminServiceService.listPriceLists, {}, { signal });
        print(output, priceLists);
      }),
    );
}

/** One row for a list's default prices and for each base that has its own. */
interface Row {
  readonly list: PriceList;
  readonly base: string;
  readonly prices: Prices;
}

function print(output: OutputFormat, lists: readonly PriceList[]): void {
  if (output === "json") {
    printRows(output, lists, []);
    return;
  }
  const rows = lists.flatMap((list): readonly Row[] => [
    ...(list.defaultPrices ? [{ list, base: "(default)", prices: list.defaultPrices }] : []),
    ...Object.entries(list.bases).map(([base, prices]) => ({ list, base, prices })),
  ]);
  printRows(output, rows, [
    { title: "version", value: ({ list }) => list.version, align: "right" },
    { title: "plan", value: ({ list }) => list.plan },
    { title: "from", value: ({ list }) => formatTime(list.effectiveFromMs) },
    { title: "base", value: ({ base }) => base },
    { title: "prompt", value: ({ prices }) => prices.prompt, align: "right" },
    { title: "cached prompt", value: ({ prices }) => prices.cachedPrompt, align: "right" },
    { title: "completion", value: ({ prices }) => prices.completion, align: "right" },
    { title: "training", value: ({ prices }) => prices.training, align: "right" },
    { title: "gpu hour", value: ({ list }) => list.gpuHourUsd, align: "right" },
  ]);
}
