import { Badge, bytes, count, Meter, shortCount } from "../../components/index.ts";
import { hrefTo } from "../../routing/index.ts";
import { DeltaCells } from "./delta-cells.tsx";
import { DrainButton } from "./drain-button.tsx";
import { speedOf } from "./live-cluster.ts";
import { shownState } from "./node-state.ts";
import type { BaseLoad, ClusterNode } from "./shapes.ts";
import { Sparkline } from "./sparkline.tsx";

interface NodeTileProps {
  readonly node: ClusterNode;
  /** Tokens per second in the last minute. */
  readonly speeds: readonly number[];
  /** Of all nodes, so that bars can be compared. */
  readonly fullest: { readonly ram: number; readonly disk: number };
}

export function NodeTile({ node, speeds, fullest }: NodeTileProps) {
  const { word, kind } = shownState(node);
  return (
    <section class={`panel node node-${kind}`} aria-label={`Node ${node.id}`}>
      <header class="node-header">
        <div class="grow">
          <h2>{node.id}</h2>
          <p class="small muted mono">{node.address}</p>
        </div>
        <Badge kind={kind}>{word}</Badge>
      </header>
      {node.handover !== null && node.handover.copies_wanted > 0 && node.state === "draining" && (
        <p class="small" role="status">
          {count(node.handover.copies_done)} of {count(node.handover.copies_wanted)} hot deltas have a place elsewhere.
        </p>
      )}
      <div class="node-speed">
        <Sparkline values={speeds} />
        <p class="num">
          <strong>{shortCount(Math.round(speedOf(node)))}</strong> <span class="small muted">tokens/s</span>
        </p>
      </div>
      {node.bases.length === 0 && <p class="small muted">No base is loaded.</p>}
      {node.bases.map((base) => (
        <Load key={base.digest} base={base} />
      ))}
      <Tiers node={node} fullest={fullest} />
      <footer class="row row-spread">
        <a class="button" href={hrefTo("cluster", ["node", node.id])} aria-label={`Deltas of ${node.id}`}>
          Deltas
        </a>
        <DrainButton node={node} />
      </footer>
    </section>
  );
}

function Load({ base }: { readonly base: BaseLoad }) {
  return (
    <div class="load">
      <h3>{base.name}</h3>
      <Filled label="Rows" of={base.name} value={base.rows_running} max={base.rows_max} />
      <Filled label="Queue" of={base.name} value={base.queue_depth} max={base.queue_depth_max} kind="warn" />
      <Filled label="KV cache" of={base.name} value={base.kv_tokens_used} max={base.kv_tokens_max} unit="tokens" />
    </div>
  );
}

interface FilledProps {
  readonly label: string;
  readonly of: string;
  readonly value: number;
  readonly max: number;
  readonly kind?: "accent" | "warn";
  readonly unit?: string;
}

function Filled({ label, of, value, max, kind = "accent", unit }: FilledProps) {
  const shown = unit === undefined ? `${count(value)} / ${count(max)}` : `${shortCount(value)} / ${shortCount(max)}`;
  return (
    <div class="filled small">
      <span class="muted">{label}</span>
      <Meter label={`${label} of ${of}`} value={value} max={max} text={`${value} of ${max} ${unit ?? ""}`} kind={kind} />
      <span class="num">{shown}</span>
    </div>
  );
}

function Tiers({ node, fullest }: { readonly node: ClusterNode; readonly fullest: NodeTileProps["fullest"] }) {
  const { slot, ram, disk } = node.tiers;
  const slots = node.bases.reduce((sum, base) => sum + base.slots_max, 0);
  const taken = node.bases.reduce((sum, base) => sum + base.slots_used, 0);
  return (
    <div class="tiers">
      <div class="tier">
        <p class="tier-name">
          <strong class="small">Slots</strong>
          <span class="small muted num">
            {count(taken)} of {count(slots)}
          </span>
        </p>
        <DeltaCells label={`In slots of ${node.id}`} deltas={slot.deltas} count={slot.count} free={slots - taken} />
      </div>
      {(["ram", "disk"] as const).map((tier) => {
        const content = tier === "ram" ? ram : disk;
        return (
          <div key={tier} class="tier">
            <p class="tier-name">
              <strong class="small">{tier === "ram" ? "RAM" : "Disk"}</strong>
              <span class="small muted num">
                {count(content.count)} {content.count === 1 ? "delta" : "deltas"}, {bytes(content.size_bytes)}
              </span>
            </p>
            <Meter
              label={`${tier === "ram" ? "RAM" : "Disk"} of ${node.id}, beside the fullest node`}
              value={content.size_bytes}
              max={fullest[tier]}
              text={`${bytes(content.size_bytes)}; the fullest node has ${bytes(fullest[tier])}`}
            />
            {content.count > 0 && (
              <DeltaCells
                label={`In ${tier === "ram" ? "RAM" : "disk"} only, of ${node.id}`}
                deltas={content.deltas}
                count={content.count}
              />
            )}
          </div>
        );
      })}
    </div>
  );
}
