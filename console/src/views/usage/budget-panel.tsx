import { get, useResource } from "../../api/index.ts";
import { count, Panel, Remote, Stat, Stats } from "../../components/index.ts";
import { exactUsd, nanoUsd, shareOf } from "./money.ts";
import type { Spending } from "./shapes.ts";

/** What is spent, and what is held for requests in progress, moves while one looks at it. */
const REFRESH_MS = 5_000;

export function BudgetPanel({ tenant }: { readonly tenant: string }) {
  const spending = useResource((signal) => get<Spending>("/v1/account/spending", { tenant_id: tenant }, signal), [tenant], {
    everyMs: REFRESH_MS,
  });
  return (
    <Panel title="Budget">
      <Remote of={spending} what="the budget">
        {(value) => <Budget spending={value} />}
      </Remote>
    </Panel>
  );
}

function Budget({ spending }: { readonly spending: Spending }) {
  const [spent, held] = [nanoUsd(spending.spent_usd), nanoUsd(spending.held_usd)];
  const budget = spending.budget_usd === null ? undefined : nanoUsd(spending.budget_usd);
  const period = spending.period === "month" ? "this month" : "in all";
  return (
    <>
      <Stats>
        <Stat label={`Spent ${period}`} value={exactUsd(spent)} />
        <Stat label="Held for what runs" value={exactUsd(held)} note={`${count(spending.requests_running)} running`} />
        <Stat label="Budget" value={budget === undefined ? "none" : exactUsd(budget)} note={budget === undefined ? undefined : period} />
        {spending.left_usd !== null && <Stat label="Left" value={exactUsd(nanoUsd(spending.left_usd))} />}
      </Stats>
      {budget !== undefined && <BudgetBar spent={spent} held={held} budget={budget} />}
    </>
  );
}

export function BudgetBar({ spent, held, budget }: { readonly spent: bigint; readonly held: bigint; readonly budget: bigint }) {
  const share = shareOf(spent + held, budget);
  return (
    // biome-ignore lint/a11y/useSemanticElements: browsers draw <meter> each in their own way, and none draws two parts
    <div
      class="meter budget-bar"
      role="meter"
      aria-label="Of the budget"
      aria-valuenow={Math.round(share * 100)}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuetext={`${exactUsd(spent)} spent and ${exactUsd(held)} held of ${exactUsd(budget)}`}
    >
      <div class={`meter-fill ${share >= 0.9 ? "meter-bad" : "meter-accent"}`} style={{ width: `${shareOf(spent, budget) * 100}%` }} />
      <div class="meter-fill meter-warn" style={{ width: `${shareOf(held, budget) * 100}%` }} />
    </div>
  );
}
