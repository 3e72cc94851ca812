import { useSignal } from "@preact/signals";
import { useResource } from "../../api/index.ts";
import { Chart } from "../../components/chart.tsx";
import { count, Empty, Page, Panel, percent, Remote, Table, Tabs } from "../../components/index.ts";
import { hrefTo } from "../../routing/index.ts";
import { eventsAfter, type Job, listSweep, type Metrics } from "./job.ts";
import { JobBadge } from "./job-badge.tsx";

/** One training of a sweep. */
interface Cell {
  readonly job: Job;
  readonly examples: number;
  /** What was compared besides the number of examples. */
  readonly setting: string;
  /** Of its last measurement on held-out examples. */
  readonly score: Metrics | undefined;
}

const SCORES = [
  { value: "valid_mean_token_accuracy", label: "Accuracy", format: (value: number) => percent(value) },
  { value: "valid_loss", label: "Loss", format: (value: number) => value.toFixed(3) },
] as const;

const REFRESH_MS = 5_000;

/** What more examples bring: the score on held-out ones against the size of the training set, a line for each setting. */
export function SweepPage({ sweep }: { readonly sweep: string }) {
  const cells = useResource((signal) => loadSweep(sweep, signal), [sweep], { everyMs: REFRESH_MS });
  const chosen = useSignal<string>(SCORES[0].value);
  const score = SCORES.find(({ value }) => value === chosen.value)!;
  const lead = (
    <>
      <a href={hrefTo("fine-tunes")}>Fine-tunes</a> · <code>{sweep}</code>
    </>
  );
  return (
    <Page title="Sweep" lead={lead}>
      <Remote of={cells} what="the sweep">
        {(known) =>
          known.length === 0 ? (
            <Empty title="There are no jobs of this sweep." icon="fine-tunes">
              A <a href={hrefTo("fine-tunes", ["new"])}>new fine-tune</a> can be one, and <code>deltaplane ft sweep</code> starts larger
              ones.
            </Empty>
          ) : (
            <>
              <Panel
                title={`${score.label} on held-out examples`}
                actions={
                  <Tabs
                    label="Score"
                    value={chosen.value}
                    options={SCORES}
                    onChange={(value) => {
                      chosen.value = value;
                    }}
                  />
                }
              >
                <SweepChart cells={known} score={score} />
              </Panel>
              <Panel title="Trainings">
                <SweepTable cells={known} />
              </Panel>
            </>
          )
        }
      </Remote>
    </Page>
  );
}

function SweepChart({ cells, score }: { readonly cells: readonly Cell[]; readonly score: (typeof SCORES)[number] }) {
  const sizes = [...new Set(cells.map(({ examples }) => examples))].sort((one, other) => one - other);
  const series = [...Map.groupBy(cells, ({ setting }) => setting)].map(([label, members]) => ({
    label,
    values: sizes.map((size) => members.find(({ examples }) => examples === size)?.score?.[score.value] ?? null),
  }));
  return (
    <Chart label={`${score.label} against examples`} x={sizes} series={series} xLabel="examples" format={score.format} heightPx={300} />
  );
}

function SweepTable({ cells }: { readonly cells: readonly Cell[] }) {
  const score = (field: string, format: (value: number) => string) => (cell: Cell) => {
    const value = cell.score?.[field];
    return value === undefined ? "–" : format(value);
  };
  return (
    <Table
      caption="Trainings of the sweep"
      rows={cells}
      keyOf={({ job }) => job.id}
      columns={[
        { title: "Examples", cell: ({ job, examples }) => <a href={hrefTo("fine-tunes", [job.id])}>{count(examples)}</a> },
        { title: "Setting", cell: ({ setting }) => setting },
        { title: "State", cell: ({ job }) => <JobBadge job={job} /> },
        ...SCORES.map(({ value, label, format }) => ({ title: label, numeric: true, cell: score(value, format) })),
      ]}
    />
  );
}

async function loadSweep(sweep: string, signal: AbortSignal): Promise<readonly Cell[]> {
  const jobs = await listSweep(sweep, signal);
  const cells = jobs.map(async (job): Promise<readonly Cell[]> => {
    const [, examples, setting] = /^(\d+) examples, (.+)$/.exec(job.metadata["cell"] ?? "") ?? [];
    if (examples === undefined || setting === undefined) return [];
    const events = await eventsAfter(job.id, undefined, signal);
    return [{ job, examples: Number(examples), setting, score: events.findLast(({ data }) => data["valid_loss"] !== undefined)?.data }];
  });
  return (await Promise.all(cells)).flat().sort((one, other) => one.examples - other.examples || (one.setting < other.setting ? -1 : 1));
}
