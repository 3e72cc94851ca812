import { useSignal } from "@preact/signals";
import { get, useResource } from "../../api/index.ts";
import { Badge, Button, count, Empty, Panel, Remote, Table } from "../../components/index.ts";
import { hrefTo } from "../../routing/index.ts";
import { BudgetBar } from "./budget-panel.tsx";
import { nanoUsd, usdText } from "./money.ts";
import type { Tenant, TenantList } from "./shapes.ts";

const REFRESH_MS = 5_000;
const PAGE = 50;

/** Everybody, with what they spend and may spend. */
export function TenantsPart() {
  const after = useSignal<readonly string[]>([]);
  const last = after.value.at(-1);
  const list = useResource((signal) => get<TenantList>("/v1/admin/tenants", { limit: PAGE, after: last }, signal), [last], {
    everyMs: REFRESH_MS,
  });
  return (
    <Panel title="Tenants">
      <Remote of={list} what="tenants">
        {({ data, total, has_more: more }) =>
          total === 0 ? (
            <Empty title="There are no tenants yet.">
              <code>npx deltaplane tenants add acme</code>
            </Empty>
          ) : (
            <>
              <Tenants tenants={data} />
              {(more || after.value.length > 0) && (
                <div class="row row-spread">
                  <Button
                    icon="back"
                    disabled={after.value.length === 0}
                    onPress={() => {
                      after.value = after.value.slice(0, -1);
                    }}
                  >
                    Before
                  </Button>
                  <span class="small muted">{count(total)} tenants</span>
                  <Button
                    disabled={!more}
                    onPress={() => {
                      after.value = [...after.value, data.at(-1)!.id];
                    }}
                  >
                    Next {PAGE}
                  </Button>
                </div>
              )}
            </>
          )
        }
      </Remote>
    </Panel>
  );
}

function Tenants({ tenants }: { readonly tenants: readonly Tenant[] }) {
  return (
    <Table
      caption="Tenants and their spending"
      rows={tenants}
      keyOf={({ id }) => id}
      columns={[
        { title: "Tenant", cell: ({ id }) => <a href={hrefTo("usage", ["usage"], { tenant: id })}>{id}</a> },
        {
          title: "State",
          cell: (tenant) => (tenant.suspended_at_ms === null ? <Badge kind="good">active</Badge> : <Badge kind="bad">suspended</Badge>),
        },
        { title: "Plan", cell: (tenant) => tenant.price_plan },
        { title: "Running", numeric: true, cell: ({ spending }) => count(spending.requests_running) },
        { title: "Spent", numeric: true, cell: ({ spending }) => usdText(spending.spent_usd) },
        { title: "Held", numeric: true, cell: ({ spending }) => usdText(spending.held_usd) },
        {
          title: "Budget",
          numeric: true,
          cell: ({ spending }) =>
            spending.budget_usd === null ? "–" : `${usdText(spending.budget_usd)}${spending.period === "month" ? " a month" : " once"}`,
        },
        { title: "Used", cell: (tenant) => <Used tenant={tenant} /> },
        { title: "Limits", cell: ({ limits }) => limitsText(limits) },
      ]}
    />
  );
}

function Used({ tenant: { spending } }: { readonly tenant: Tenant }) {
  if (spending.budget_usd === null) return <>–</>;
  return (
    <div class="used">
      <BudgetBar spent={nanoUsd(spending.spent_usd)} held={nanoUsd(spending.held_usd)} budget={nanoUsd(spending.budget_usd)} />
    </div>
  );
}

function limitsText(limits: Tenant["limits"]): string {
  const set = Object.entries(limits).map(([name, value]) => `${name.replaceAll("_", " ")} ${count(value)}`);
  return set.length === 0 ? "–" : set.join(", ");
}
