import type { Command } from "commander";
import { outputOf, withConnection } from "../connection.ts";

export function addBillingVerifyCommand(billing: Command): void {
  billing
    .command("verify")
    .description("recount the ledger from the raw claims; exits 1 on any difference")
    .option("--book <tenant>", "only this tenant's book", "")
    .option("--state <url>", "read the store itself, past any router")
    .action(async ({ book, state }: { book: string; state?: string }, command: Command) => {
      const { verifyRouter, verifyStore } = await import("../ledger-verification.ts");
      if (state === undefined) await withConnection(command, (connection) => verifyRouter(connection, book));
      else await verifyStore(state, book, outputOf(command));
    });
}
