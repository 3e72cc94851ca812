import { useSignal } from "@preact/signals";
import { type ApiFailure, failureFrom, get, pathOf, post, useResource } from "../../api/index.ts";
import { Badge, Button, bytes, CopyButton, Dialog, Empty, Failure, moment, Remote, Stat, Stats, Table } from "../../components/index.ts";
import { hrefTo } from "../../routing/index.ts";
import { EvictButton } from "./evict-button.tsx";
import type { DeltaDetail, Tier } from "./shapes.ts";

const REFRESH_MS = 2_000;
const PLACES: Readonly<Record<Tier, string>> = { slot: "a slot", ram: "RAM", disk: "disk" };
const INTO: Readonly<Record<Tier, string>> = { slot: "into a slot", ram: "into RAM", disk: "onto disk" };

/** One delta: where it is, where it has been, and what an operator may do about it. */
export function DeltaDialog({ id, onClose }: { readonly id: string; readonly onClose: () => void }) {
  const detail = useResource((signal) => get<DeltaDetail>(`/v1/admin/deltas${pathOf(id)}`, {}, signal), [id], { everyMs: REFRESH_MS });
  return (
    <Dialog title={detail.state.value.value?.name ?? "Delta"} onClose={onClose}>
      <div class="stack">
        <Remote of={detail} what="the delta">
          {(delta) => (
            <>
              <Facts delta={delta} />
              <Pin delta={delta} onChanged={detail.reload} />
              <Copies delta={delta} onEvicted={detail.reload} />
              <History delta={delta} />
            </>
          )}
        </Remote>
      </div>
    </Dialog>
  );
}

function Facts({ delta }: { readonly delta: DeltaDetail }) {
  const present = delta.aliases.filter((alias) => alias.until_ms === null);
  const past = delta.aliases.filter((alias) => alias.until_ms !== null);
  return (
    <>
      <Stats>
        <Stat label="Tenant" value={<a href={hrefTo("usage", ["usage"], { tenant: delta.tenant_id })}>{delta.tenant_id}</a>} />
        <Stat label="Base" value={delta.base} />
        <Stat label="Rank" value={delta.rank} />
        <Stat label="Size" value={bytes(delta.size_bytes)} />
        <Stat label="Heat" value={delta.heat} note="tokens/s" />
        <Stat label="Made" value={moment(delta.created_at_ms / 1000)} />
      </Stats>
      <div class="row">
        <code class="hash grow">{delta.digest}</code>
        <CopyButton text={delta.digest} label="Copy digest" />
      </div>
      <p class="small">
        {present.length === 0
          ? "No alias points at it."
          : `Called ${present.map(({ name, weight }) => (weight === 1 ? name : `${name} (weight ${weight})`)).join(", ")}.`}{" "}
        {past.length > 0 &&
          `Until ${past.map(({ name, until_ms: until }) => `${moment(until! / 1000)} ${name}`).join(", ")} pointed at it.`}
      </p>
    </>
  );
}

function Pin({ delta, onChanged }: { readonly delta: DeltaDetail; readonly onChanged: () => void }) {
  const busy = useSignal(false);
  const failure = useSignal<ApiFailure | undefined>(undefined);
  const turn = async () => {
    busy.value = true;
    failure.value = undefined;
    try {
      await post(`/v1/deltas${pathOf(delta.digest)}/${delta.pinned ? "unpin" : "pin"}`);
      onChanged();
    } catch (error) {
      failure.value = failureFrom(error);
    }
    busy.value = false;
  };
  return (
    <>
      <div class="row">
        <Button icon="pin" busy={busy.value} pressed={delta.pinned} onPress={() => void turn()}>
          {delta.pinned ? "Unpin" : "Pin"}
        </Button>
        <span class="small muted">
          {delta.pinned ? "Stays in RAM, or nearer to the engine, on its home node." : "May be evicted when nobody asks for it."}
        </span>
      </div>
      {failure.value && <Failure failure={failure.value} />}
    </>
  );
}

function Copies({ delta, onEvicted }: { readonly delta: DeltaDetail; readonly onEvicted: () => void }) {
  return (
    <section class="stack" aria-label="Copies">
      <h3>Copies</h3>
      {delta.wanted_on.length > 0 && <p class="small muted">Wanted on {delta.wanted_on.join(", ")}, as the scheduler says.</p>}
      {delta.copies.length === 0 ? (
        <p class="small muted">It is on no node: its next request brings it from the store.</p>
      ) : (
        <Table
          caption="Copies by node"
          rows={delta.copies}
          keyOf={(copy) => copy.node_id}
          columns={[
            { title: "Node", cell: (copy) => copy.node_id },
            { title: "Tier", cell: ({ tier, state }) => (state === "ready" ? tier : `${tier}, ${state}`) },
            { title: "In use", numeric: true, cell: ({ references }) => references },
            {
              title: "Memory",
              cell: (copy) =>
                copy.pinned ? (
                  <Badge kind="accent">pinned</Badge>
                ) : copy.tier === "disk" ? (
                  "–"
                ) : (
                  <EvictButton node={copy.node_id} digest={delta.digest} name={delta.name} onEvicted={onEvicted} />
                ),
            },
          ]}
        />
      )}
    </section>
  );
}

function History({ delta }: { readonly delta: DeltaDetail }) {
  return (
    <section class="stack" aria-label="History">
      <h3>History</h3>
      {delta.history.length === 0 ? (
        <Empty title="It has not moved since this router started." />
      ) : (
        <ol class="history small">
          {delta.history.map(({ at_ms: at, node_id: node, from, to }) => (
            <li key={`${at} ${node} ${from} ${to}`}>
              <time class="muted num" dateTime={new Date(at).toISOString()}>
                {clockTime(at)}
              </time>
              <span>{movement(node, from, to)}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

function movement(node: string, from: Tier | null, to: Tier | null): string {
  if (from === null) return `came to ${node}, ${INTO[to!]}`;
  if (to === null) return `left ${node}, from ${PLACES[from]}`;
  return `on ${node} from ${PLACES[from]} to ${PLACES[to]}`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });

function clockTime(atMs: number): string {
  return CLOCK.format(atMs);
}
