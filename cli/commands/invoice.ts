import type { Command } from "commander";
import { Fault } from "#kernel";
import { BillingServiceService, type Invoice } from "#proto";
import { withConnection } from "../connection.ts";
import { printData, printMessage, printRows } from "../output.ts";

export function addInvoiceCommand(program: Command): void {
  program
    .command("invoice <tenant> <month>")
    .description("what a tenant owes for a month (YYYY-MM, UTC), in lines that add up")
    .action((tenantId: string, month: string, _options: unknown, command: Command) =>
      withConnection(command, async ({ channel, output, signal }) => {
        const { invoice } = await channel.unary(BillingServiceService.getInvoice, { tenantId, month }, { signal });
        if (!invoice) throw new Fault("message_malformed", "the server's answer holds no invoice");
        if (output === "json") printData(JSON.stringify(invoice, null, 2));
        else printInvoice(invoice);
      }),
    );
}

function printInvoice({ lines, corrections, ...invoice }: Invoice): void {
  printRows("table", lines, [
    { title: "base", value: (line) => line.base },
    { title: "model", value: (line) => line.model },
    { title: "tokens of", value: (line) => line.kind },
    { title: "price list", value: (line) => line.priceVersion, align: "right" },
    { title: "tokens", value: (line) => line.tokens, align: "right" },
    { title: "usd per million", value: (line) => line.usdPerMillion, align: "right" },
    { title: "usd", value: (line) => line.amountUsd, align: "right" },
  ]);
  if (corrections.length > 0) {
    printData("");
    printRows("table", corrections, [
      { title: "correction", value: (correction) => correction.id },
      { title: "of request", value: (correction) => correction.requestId || "-" },
      { title: "reason", value: (correction) => correction.reason },
      { title: "usd", value: (correction) => correction.amountUsd, align: "right" },
    ]);
  }
  printData(`\ntotal of ${invoice.tenantId} for ${invoice.month}: $${invoice.totalUsd}`);
  printData(`book at line ${invoice.position}${invoice.hash && `, hash ${invoice.hash}`}`);
  if (invoice.preliminary) printMessage("preliminary: claims of this month may still come until a day after it");
}
