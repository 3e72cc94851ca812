import { get, useResource } from "../../api/index.ts";
import { Badge, Empty, moment, Panel, Remote, Table } from "../../components/index.ts";
import { usdText } from "./money.ts";
import type { PriceList, Prices } from "./shapes.ts";

/** One row for a list's default prices and for each base that has its own. */
interface Row {
  readonly list: PriceList;
  readonly base: string;
  readonly prices: Prices;
}

/** Every price list that there ever was. */
export function PricesPart() {
  const lists = useResource((signal) => get<{ readonly data: readonly PriceList[] }>("/v1/admin/prices", {}, signal), []);
  return (
    <Panel title="Price book">
      <Remote of={lists} what="the price book">
        {({ data }) =>
          data.length === 0 ? (
            <Empty title="There is no price list: everything is counted and costs nothing.">
              <code>npx deltaplane prices set FILE</code>
            </Empty>
          ) : (
            <>
              <p class="small muted">
                Dollars per million tokens. A list is never changed: the next version takes its place, and a request is priced by the one in
                force when it was admitted.
              </p>
              <PriceTable lists={data} />
            </>
          )
        }
      </Remote>
    </Panel>
  );
}

function PriceTable({ lists }: { readonly lists: readonly PriceList[] }) {
  const current = inForce(lists, Date.now());
  const rows = lists.flatMap((list): readonly Row[] => [
    ...(list.default_prices ? [{ list, base: "every other base", prices: list.default_prices }] : []),
    ...Object.entries(list.bases).map(([base, prices]) => ({ list, base, prices })),
  ]);
  return (
    <Table
      caption="Price lists"
      rows={rows}
      keyOf={({ list, base }) => `${list.version} ${base}`}
      columns={[
        { title: "Version", cell: ({ list }) => list.version },
        { title: "Plan", cell: ({ list }) => list.plan },
        {
          title: "State",
          cell: ({ list }) =>
            current.has(list.version) ? (
              <Badge kind="good">in force</Badge>
            ) : (
              <Badge>{list.effective_from_ms > Date.now() ? "to come" : "past"}</Badge>
            ),
        },
        { title: "From", cell: ({ list }) => moment(list.effective_from_ms / 1000) },
        { title: "Base", cell: ({ base }) => base },
        { title: "Prompt", numeric: true, cell: ({ prices }) => usdText(prices.prompt) },
        { title: "Cached", numeric: true, cell: ({ prices }) => usdText(prices.cached_prompt) },
        { title: "Completion", numeric: true, cell: ({ prices }) => usdText(prices.completion) },
        { title: "Training", numeric: true, cell: ({ prices }) => usdText(prices.training) },
        { title: "GPU hour", numeric: true, cell: ({ list }) => usdText(list.gpu_hour_usd) },
      ]}
    />
  );
}

/** Of each plan the latest that has begun, and of two that began together the later version. */
export function inForce(lists: readonly PriceList[], nowMs: number): ReadonlySet<number> {
  const begun = lists.filter((list) => list.effective_from_ms <= nowMs);
  const latest = [...Map.groupBy(begun, ({ plan }) => plan).values()].map((plan) =>
    plan.reduce((best, list) =>
      list.effective_from_ms > best.effective_from_ms || (list.effective_from_ms === best.effective_from_ms && list.version > best.version)
        ? list
        : best,
    ),
  );
  return new Set(latest.map(({ version }) => version));
}
