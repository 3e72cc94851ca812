import { type Command, InvalidArgumentError, Option } from "commander";
import { SECOND, systemClock } from "#kernel";
import { AdminServiceService, type GetClusterResponse, Tier } from "#proto";
import { withConnection } from "../connection.ts";
import { printData, printMessage, printRows } from "../output.ts";
import { HELD_COLUMNS, heldDeltas } from "./ps.ts";

/** As many as a terminal shows at a glance. */
const ROWS_MAX = 20;
/** Clears the terminal and goes to its first line. */
const CLEAR = "\u001b[2J\u001b[H";

export function addTopCommand(program: Command): void {
  program
    .command("top")
    .description("which deltas are busiest where, again and again")
    .option("--every <seconds>", "from one look to the next", seconds, 2)
    .addOption(new Option("--times <n>", "then end").argParser(seconds).default(Number.POSITIVE_INFINITY, "until interrupted"))
    .action((options: { every: number; times: number }, command: Command) =>
      withConnection(command, async ({ adminChannel, output, signal }) => {
        for (let look = 1; ; look++) {
          const cluster = await adminChannel.unary(AdminServiceService.getCluster, {}, { signal });
          if (output === "table" && process.stdout.isTTY) printData(CLEAR);
          if (output === "table") printMessage(summaryOf(cluster));
          const busy = heldDeltas(cluster).filter(({ tier }) => tier !== Tier.TIER_DISK);
          const order = [...busy].sort((one, other) => other.references - one.references || one.model.localeCompare(other.model));
          printRows(output, order.slice(0, ROWS_MAX), HELD_COLUMNS);
          if (look >= options.times) return;
          await systemClock.after(options.every * SECOND, signal);
        }
      }),
    );
}

function summaryOf({ nodes, leader, requestsRunning }: GetClusterResponse): string {
  const bases = nodes.flatMap(({ view }) => view?.bases ?? []);
  const sum = (value: (base: (typeof bases)[number]) => number) => bases.reduce((total, base) => total + value(base), 0);
  const rows = `${sum((base) => base.rowsRunning)} of ${sum((base) => base.rowsMax)} rows`;
  const slots = `${sum((base) => base.slotsUsed)} of ${sum((base) => base.slotsMax)} slots`;
  const rate = `${sum((base) => base.tokensPerSecond).toFixed(0)} tokens/s`;
  return `${nodes.length} nodes, ${requestsRunning} requests, ${rows}, ${slots}, ${rate}; ${leader || "nobody"} leads`;
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("not a number above 0");
  return value;
}
