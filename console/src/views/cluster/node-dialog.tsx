import { get, pathOf, useResource } from "../../api/index.ts";
import { Badge, bytes, count, Dialog, Empty, Remote, Table } from "../../components/index.ts";
import { hrefTo } from "../../routing/index.ts";
import { EvictButton } from "./evict-button.tsx";
import type { HeldDelta, Page } from "./shapes.ts";

const SHOWN = 200;
const REFRESH_MS = 2_000;

/** What stands on one node: the list behind the cells. */
export function NodeDialog({ id, onClose }: { readonly id: string; readonly onClose: () => void }) {
  const held = useResource((signal) => get<Page<HeldDelta>>(`/v1/admin/nodes${pathOf(id)}/deltas`, { limit: SHOWN }, signal), [id], {
    everyMs: REFRESH_MS,
  });
  return (
    <Dialog title={`Deltas on ${id}`} onClose={onClose}>
      <div class="stack">
        <Remote of={held} what="deltas">
          {({ data, total }) => (
            <>
              {data.length === 0 ? (
                <Empty title="Nothing stands on this node." />
              ) : (
                <Held node={id} deltas={data} onEvicted={held.reload} />
              )}
              {total > data.length && (
                <p class="small muted">
                  {count(data.length)} of {count(total)} are shown.
                </p>
              )}
            </>
          )}
        </Remote>
      </div>
    </Dialog>
  );
}

interface HeldProps {
  readonly node: string;
  readonly deltas: readonly HeldDelta[];
  readonly onEvicted: () => void;
}

function Held({ node, deltas, onEvicted }: HeldProps) {
  return (
    <Table
      caption={`Deltas on ${node}`}
      rows={deltas}
      keyOf={({ digest }) => digest}
      columns={[
        { title: "Delta", cell: ({ name, digest }) => <a href={hrefTo("cluster", ["delta", digest])}>{name ?? digest.slice(0, 12)}</a> },
        { title: "Tier", cell: ({ tier, state }) => (state === "ready" ? tier : `${tier}, ${state}`) },
        { title: "In use", numeric: true, cell: ({ references }) => references },
        { title: "Tokens/s", numeric: true, cell: ({ heat }) => heat },
        { title: "Size", numeric: true, cell: (delta) => bytes(delta.size_bytes) },
        { title: "Memory", cell: (delta) => <Fate node={node} delta={delta} onEvicted={onEvicted} /> },
      ]}
    />
  );
}

function Fate({ node, delta, onEvicted }: { readonly node: string; readonly delta: HeldDelta; readonly onEvicted: () => void }) {
  if (delta.pinned) return <Badge kind="accent">pinned</Badge>;
  if (delta.tier === "disk") return <>–</>;
  return <EvictButton node={node} digest={delta.digest} name={delta.name ?? delta.digest.slice(0, 12)} onEvicted={onEvicted} />;
}
