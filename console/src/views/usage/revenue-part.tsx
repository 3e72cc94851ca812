import { useSignal } from "@preact/signals";
import { get, useResource } from "../../api/index.ts";
import { count, Empty, Panel, Remote, Select, Stat, Stats, shortCount, Table } from "../../components/index.ts";
import { exactUsd, largestOf, nanoUsd, shareOf, sumOf, usdText } from "./money.ts";
import type { Revenue } from "./shapes.ts";

const DAY_MS = 86_400_000;

/** What tokens earned beside what the GPUs cost that served them. */
export function RevenuePart() {
  const days = useSignal("30");
  const revenue = useResource(
    (signal) => get<Revenue>("/v1/admin/revenue", { since_ms: Date.now() - Number(days.value) * DAY_MS }, signal),
    [days.value],
  );
  const picker = (
    <Select
      label="Time"
      value={days.value}
      onChange={(value) => {
        days.value = value;
      }}
      options={["1", "7", "30", "90", "365"].map((value) => ({ value, label: value === "1" ? "since yesterday" : `last ${value} days` }))}
    />
  );
  return (
    <>
      <Panel title="Token revenue beside GPU-hours" actions={picker}>
        <Remote of={revenue} what="revenue">
          {(value) => (value.bases.length === 0 ? <Empty title="No node stood ready, and nothing was sold." /> : <Bases revenue={value} />)}
        </Remote>
      </Panel>
      <ByTenant tenants={revenue.state.value.value?.tenants ?? []} />
    </>
  );
}

function ByTenant({ tenants }: Pick<Revenue, "tenants">) {
  if (tenants.length === 0) return null;
  return (
    <Panel title="By tenant">
      <p class="small muted">
        Rented: a GPU of its own for each model, in every hour in which the model was used, which is what the tenant would have paid
        elsewhere.
      </p>
      <Tenants tenants={tenants} />
    </Panel>
  );
}

function Bases({ revenue: { bases } }: { readonly revenue: Revenue }) {
  const earned = sumOf(bases.map((base) => nanoUsd(base.revenue_usd)));
  const cost = sumOf(bases.map((base) => nanoUsd(base.gpu_cost_usd)));
  const hours = bases.reduce((sum, base) => sum + base.gpu_hours, 0);
  const most = largestOf(bases.flatMap((base) => [nanoUsd(base.revenue_usd), nanoUsd(base.gpu_cost_usd)]));
  return (
    <>
      <Stats>
        <Stat label="Revenue" value={exactUsd(earned)} note="before corrections" />
        <Stat label="GPU cost" value={exactUsd(cost)} note={`${hours.toFixed(2)} hours`} />
        <Stat label="Revenue − cost" value={exactUsd(earned - cost)} />
        <Stat label="Tokens" value={shortCount(bases.reduce((sum, { tokens }) => sum + tokens, 0))} />
      </Stats>
      <ul class="pairs">
        {bases.map((base) => (
          <li key={base.base}>
            <h3>
              {base.base} <span class="muted num">{count(base.tokens)} tokens</span>
            </h3>
            <Bar label="Revenue" amount={nanoUsd(base.revenue_usd)} most={most} kind="accent" />
            <Bar label={`${base.gpu_hours.toFixed(2)} GPU-hours`} amount={nanoUsd(base.gpu_cost_usd)} most={most} kind="warn" />
          </li>
        ))}
      </ul>
    </>
  );
}

interface BarProps {
  readonly label: string;
  readonly amount: bigint;
  readonly most: bigint;
  readonly kind: "accent" | "warn";
}

function Bar({ label, amount, most, kind }: BarProps) {
  return (
    <div class="pair">
      <span class="small muted">{label}</span>
      <div class="meter" aria-hidden="true">
        <div class={`meter-fill meter-${kind}`} style={{ width: `${shareOf(amount, most) * 100}%` }} />
      </div>
      <span class="num">{exactUsd(amount)}</span>
    </div>
  );
}

function Tenants({ tenants }: Pick<Revenue, "tenants">) {
  return (
    <Table
      caption="Revenue by tenant and base"
      rows={tenants}
      keyOf={(row) => `${row.tenant_id} ${row.base}`}
      columns={[
        { title: "Tenant", cell: (row) => row.tenant_id },
        { title: "Base", cell: ({ base }) => base },
        { title: "Tokens", numeric: true, cell: ({ tokens }) => count(tokens) },
        { title: "Revenue", numeric: true, cell: (row) => usdText(row.revenue_usd) },
        { title: "GPU-hours, its share", numeric: true, cell: (row) => row.gpu_hours.toFixed(2) },
        { title: "Rented hours", numeric: true, cell: (row) => row.rented_gpu_hours.toFixed(2) },
        { title: "Rented cost", numeric: true, cell: (row) => usdText(row.rented_cost_usd) },
      ]}
    />
  );
}
