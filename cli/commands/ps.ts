import type { Command } from "commander";
import { AdminServiceService, type DeltaResidency, ResidencyState, Tier } from "#proto";
import { withConnection } from "../connection.ts";
import { type Column, formatBytes, printRows } from "../output.ts";

interface HeldDelta extends DeltaResidency {
  readonly node: string;
  readonly model: string;
}

const TIERS: Readonly<Record<number, string>> = { [Tier.TIER_SLOT]: "slot", [Tier.TIER_RAM]: "ram", [Tier.TIER_DISK]: "disk" };
const STATES: Readonly<Record<number, string>> = {
  [ResidencyState.RESIDENCY_STATE_LOADING]: "loading",
  [ResidencyState.RESIDENCY_STATE_READY]: "ready",
  [ResidencyState.RESIDENCY_STATE_EVICTING]: "evicting",
};

const COLUMNS: readonly Column<HeldDelta>[] = [
  { title: "model", value: (delta) => delta.model },
  { title: "node", value: (delta) => delta.node },
  { title: "tier", value: (delta) => TIERS[delta.tier] ?? "" },
  { title: "state", value: (delta) => STATES[delta.state] ?? "" },
  { title: "in use", value: (delta) => delta.references, align: "right" },
  { title: "rank", value: (delta) => delta.rank, align: "right" },
  { title: "size", value: (delta) => formatBytes(delta.sizeBytes), align: "right" },
  { title: "pinned", value: (delta) => (delta.pinned ? "yes" : "") },
];

export function addPsCommand(program: Command): void {
  program
    .command("ps")
    .description("which delta is hot where")
    .option("-a, --all", "also those on disk only")
    .action((options: { all?: boolean }, command: Command) =>
      withConnection(command, async ({ adminChannel, output, signal }) => {
        const { nodes } = await adminChannel.unary(AdminServiceService.getCluster, {}, { signal });
        const held = nodes.flatMap((node) =>
          (node.view?.deltas ?? []).map((delta) => ({
            ...delta,
            node: node.view!.id,
            model: node.deltaNames[delta.digest] ?? delta.digest.slice(0, 12),
          })),
        );
        const shown = held.filter((delta) => options.all || delta.tier !== Tier.TIER_DISK);
        printRows(
          output,
          shown.sort((one, other) => one.tier - other.tier || one.model.localeCompare(other.model)),
          COLUMNS,
        );
      }),
    );
}
