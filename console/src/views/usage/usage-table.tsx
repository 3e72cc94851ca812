import { count, Table } from "../../components/index.ts";
import { exactUsd } from "./money.ts";
import type { Dimension } from "./shapes.ts";
import type { UsageSum } from "./usage-sums.ts";

interface UsageTableProps {
  readonly by: Dimension;
  readonly sums: readonly UsageSum[];
  readonly all: Omit<UsageSum, "name">;
  /** Those with a colour of their own, in the chart's order. */
  readonly groups: readonly string[];
}

const TITLES: Readonly<Record<Dimension, string>> = { day: "Day", model: "Model", key: "Key", project: "Project", tenant: "Tenant" };

/** Beyond them nobody reads on; the export has all. */
const ROWS_MAX = 100;

export function UsageTable({ by, sums, all, groups }: UsageTableProps) {
  const colourOf = (name: string) => (groups.includes(name) ? groups.indexOf(name) : groups.length - 1) + 1;
  return (
    <Table
      caption={`Usage by ${by}`}
      rows={sums.slice(0, ROWS_MAX)}
      keyOf={({ name }) => name}
      columns={[
        {
          title: TITLES[by],
          cell: ({ name }) => (
            <span class="usage-name">
              <span class={`swatch swatch-${colourOf(name)}`} aria-hidden="true" />
              {name}
            </span>
          ),
        },
        { title: "Requests", numeric: true, cell: ({ requests }) => count(requests) },
        { title: "Prompt", numeric: true, cell: ({ promptTokens }) => count(promptTokens) },
        { title: "of it cached", numeric: true, cell: ({ cachedTokens }) => count(cachedTokens) },
        { title: "Completion", numeric: true, cell: ({ completionTokens }) => count(completionTokens) },
        { title: "Trained", numeric: true, cell: ({ trainedTokens }) => count(trainedTokens) },
        { title: "Money", numeric: true, cell: ({ amount }) => exactUsd(amount) },
      ]}
      foot={[
        sums.length > ROWS_MAX ? `All ${count(sums.length)} together` : "Total",
        count(all.requests),
        count(all.promptTokens),
        count(all.cachedTokens),
        count(all.completionTokens),
        count(all.trainedTokens),
        exactUsd(all.amount),
      ]}
    />
  );
}
