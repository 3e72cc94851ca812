import type { Command } from "commander";
import { AdminServiceService, type DeltaResidency, type GetClusterResponse, ResidencyState, Tier } from "#proto";
import { withConnection } from "../connection.ts";
import { engineName } from "../engine-name.ts";
import { type Column, formatBytes, printRows } from "../output.ts";

/** One delta on one node. */
export interface HeldDelta extends DeltaResidency {
  readonly node: string;
  /** Of its base there: what computes, in which precision, on which device. */
  readonly engine: string;
  readonly model: string;
  /** Nodes that have it in a slot or in memory. */
  readonly copies: number;
  /** Nodes on which the last round wants it; none: on its home. */
  readonly wanted: readonly string[];
}

const TIERS: Readonly<Record<number, string>> = { [Tier.TIER_SLOT]: "slot", [Tier.TIER_RAM]: "ram", [Tier.TIER_DISK]: "disk" };
const STATES: Readonly<Record<number, string>> = {
  [ResidencyState.RESIDENCY_STATE_LOADING]: "loading",
  [ResidencyState.RESIDENCY_STATE_READY]: "ready",
  [ResidencyState.RESIDENCY_STATE_EVICTING]: "evicting",
};

export const HELD_COLUMNS: readonly Column<HeldDelta>[] = [
  { title: "model", value: (delta) => delta.model },
  { title: "node", value: (delta) => delta.node },
  { title: "tier", value: (delta) => TIERS[delta.tier] ?? "" },
  { title: "state", value: (delta) => STATES[delta.state] ?? "" },
  { title: "copies", value: (delta) => delta.copies, align: "right" },
  { title: "wanted on", value: (delta) => delta.wanted.join(" ") || "home" },
  { title: "in use", value: (delta) => delta.references, align: "right" },
  { title: "rank", value: (delta) => delta.rank, align: "right" },
  { title: "size", value: (delta) => formatBytes(delta.sizeBytes), align: "right" },
  { title: "pinned", value: (delta) => (delta.pinned ? "yes" : "") },
  { title: "engine", value: (delta) => delta.engine },
];

export function addPsCommand(program: Command): void {
  program
    .command("ps")
    .description("which delta is hot where")
    .option("-a, --all", "also those on disk only")
    .action((options: { all?: boolean }, command: Command) =>
      withConnection(command, async ({ adminChannel, output, signal }) => {
        const held = heldDeltas(await adminChannel.unary(AdminServiceService.getCluster, {}, { signal }));
        const shown = held.filter((delta) => options.all || delta.tier !== Tier.TIER_DISK);
        printRows(
          output,
          shown.sort((one, other) => one.tier - other.tier || one.model.localeCompare(other.model)),
          HELD_COLUMNS,
        );
      }),
    );
}

/** Every delta on every node, with its copies elsewhere. */
export function heldDeltas({ nodes, copies }: GetClusterResponse): readonly HeldDelta[] {
  const wanted = new Map(copies.map(({ digest, nodeIds }) => [digest, nodeIds]));
  const fast = new Map<string, number>();
  for (const { view } of nodes)
    for (const { digest, tier } of view?.deltas ?? []) if (tier !== Tier.TIER_DISK) fast.set(digest, (fast.get(digest) ?? 0) + 1);
  return nodes.flatMap((node) =>
    (node.view?.deltas ?? []).map((delta) => ({
      ...delta,
      node: node.view!.id,
      engine: engineName(node.view!.bases.find(({ digest }) => digest === delta.baseDigest)),
      model: node.deltaNames[delta.digest] ?? delta.digest.slice(0, 12),
      copies: fast.get(delta.digest) ?? 0,
      wanted: wanted.get(delta.digest) ?? [],
    })),
  );
}
