import { useSignal } from "@preact/signals";
import { get, useResource } from "../../api/index.ts";
import { Empty, Panel, Remote, Select, Stat, Stats, shortCount, Tabs } from "../../components/index.ts";
import { isOperator } from "../../session/index.ts";
import { BudgetPanel } from "./budget-panel.tsx";
import { DayBars } from "./day-bars.tsx";
import { exactUsd } from "./money.ts";
import type { Dimension, UsageList } from "./shapes.ts";
import { colouredGroups, dayColumns, type Measure, sumOfRows, sumsBy, tokensOf } from "./usage-sums.ts";
import { UsageTable } from "./usage-table.tsx";

const DAY_MS = 86_400_000;
const SPANS = ["7", "30", "90"] as const;

/** Tokens and money by day, and by model, key, project or tenant. */
export function UsagePart({ tenant }: { readonly tenant: string }) {
  const days = useSignal<string>("30");
  const by = useSignal<Dimension>("model");
  const measure = useSignal<Measure>("money");
  const list = useResource(
    (signal) => {
      const query = { by: ["day", by.value], since_ms: startOfSpan(Number(days.value)), tenant_id: tenant || undefined };
      return get<UsageList>("/v1/usage", query, signal);
    },
    [days.value, by.value, tenant],
  );
  const dimensions = isOperator.value && tenant === "" ? (["model", "tenant", "key"] as const) : (["model", "key", "project"] as const);
  return (
    <>
      {tenant !== "" && <BudgetPanel tenant={tenant} />}
      <Panel
        title="By day"
        actions={
          <>
            <Tabs
              label="What is drawn"
              value={measure.value}
              onChange={(value) => {
                measure.value = value as Measure;
              }}
              options={[
                { value: "money", label: "Money" },
                { value: "tokens", label: "Tokens" },
              ]}
            />
            <Tabs
              label="Grouped by"
              value={by.value}
              onChange={(value) => {
                by.value = value as Dimension;
              }}
              options={dimensions.map((value) => ({ value, label: `by ${value}` }))}
            />
            <div class="span-picker">
              <Select
                label="Time"
                value={days.value}
                onChange={(value) => {
                  days.value = value;
                }}
                options={SPANS.map((value) => ({ value, label: `last ${value} days` }))}
              />
            </div>
          </>
        }
      >
        <Remote of={list} what="usage">
          {(usage) => <Usage usage={usage} by={by.value} measure={measure.value} />}
        </Remote>
      </Panel>
    </>
  );
}

function Usage({ usage, by, measure }: { readonly usage: UsageList; readonly by: Dimension; readonly measure: Measure }) {
  const sums = sumsBy(usage.data, by);
  if (sums.length === 0) {
    return (
      <Empty title="Nothing was used in this time." icon="usage">
        Usage stands here some seconds after a request has ended.
      </Empty>
    );
  }
  const all = sumOfRows(usage.data);
  const groups = colouredGroups(sums);
  return (
    <>
      <Stats>
        <Stat label="Charged" value={exactUsd(all.amount)} note="before corrections" />
        <Stat label="Requests" value={shortCount(all.requests)} />
        <Stat label="Tokens" value={shortCount(tokensOf(all))} />
        <Stat label="Of them trained" value={shortCount(all.trainedTokens)} />
      </Stats>
      <DayBars columns={dayColumns(usage.data, groups, by, measure, usage)} groups={groups} measure={measure} />
      <UsageTable by={by} sums={sums} all={all} groups={groups} />
    </>
  );
}

/** Midnight, so that a column is a whole day. */
function startOfSpan(days: number): number {
  return Math.floor(Date.now() / DAY_MS) * DAY_MS - (days - 1) * DAY_MS;
}
