import { useSignal } from "@preact/signals";
import { get, useResource } from "../../api/index.ts";
import { Badge, bytes, count, Empty, moment, Panel, Remote, Table, TextField } from "../../components/index.ts";
import { hrefTo } from "../../routing/index.ts";
import type { Delta, Page } from "./shapes.ts";

const SHOWN = 20;

/** Any delta by a part of its name or its digest; the newest without a wish. */
export function DeltaSearch() {
  const words = useSignal("");
  const found = useResource((signal) => get<Page<Delta>>("/v1/admin/deltas", { search: words.value, limit: SHOWN }, signal), [words.value]);
  return (
    <Panel title="Deltas">
      <TextField
        label="Find a delta"
        placeholder="a part of its name, or its digest"
        value={words.value}
        onInput={(value) => {
          words.value = value;
        }}
      />
      <Remote of={found} what="deltas">
        {({ data, total }) =>
          data.length === 0 ? (
            <Empty title={words.value === "" ? "There are no deltas yet." : "No delta is called like that."} />
          ) : (
            <>
              <Found deltas={data} />
              {total > data.length && (
                <p class="small muted">
                  {count(data.length)} of {count(total)} are shown.
                </p>
              )}
            </>
          )
        }
      </Remote>
    </Panel>
  );
}

function Found({ deltas }: { readonly deltas: readonly Delta[] }) {
  return (
    <Table
      caption="Deltas found"
      rows={deltas}
      keyOf={({ digest }) => digest}
      columns={[
        { title: "Delta", cell: ({ name, digest }) => <a href={hrefTo("cluster", ["delta", digest])}>{name}</a> },
        { title: "Tenant", cell: ({ tenant_id: tenant }) => tenant },
        { title: "Base", cell: ({ base }) => base },
        { title: "Rank", numeric: true, cell: ({ rank }) => rank },
        { title: "Size", numeric: true, cell: (delta) => bytes(delta.size_bytes) },
        { title: "Made", numeric: true, cell: (delta) => moment(delta.created_at_ms / 1000) },
        { title: "Pin", cell: ({ pinned }) => (pinned ? <Badge kind="accent">pinned</Badge> : "") },
      ]}
    />
  );
}
