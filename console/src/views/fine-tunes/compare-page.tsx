import { useResource } from "../../api/index.ts";
import { count, Empty, Page, Panel, percent, Remote, Table } from "../../components/index.ts";
import { hrefTo, route } from "../../routing/index.ts";
import { Curves } from "./curves.tsx";
import { eventsAfter, getJob, type Job, type JobEvent } from "./job.ts";
import { JobBadge } from "./job-badge.tsx";

/** As many as there are colours for. */
const COMPARED_MAX = 6;
const REFRESH_MS = 5_000;

interface Run {
  readonly job: Job;
  readonly events: readonly JobEvent[];
}

/** `#/fine-tunes/compare?jobs=a,b`: runs over each other. */
export function ComparePage() {
  const ids = (route.value.query.get("jobs") ?? "")
    .split(",")
    .filter((id) => id !== "")
    .slice(0, COMPARED_MAX);
  const load = (signal: AbortSignal) =>
    Promise.all(ids.map(async (id): Promise<Run> => ({ job: await getJob(id, signal), events: await eventsAfter(id, undefined, signal) })));
  const runs = useResource(load, [ids.join()], { everyMs: REFRESH_MS });
  return (
    <Page title="Compare runs" lead={<a href={hrefTo("fine-tunes")}>Fine-tunes</a>}>
      {ids.length < 2 ? (
        <Empty title="Choose two or more jobs." icon="compare">
          Tick them in <a href={hrefTo("fine-tunes")}>the list</a>.
        </Empty>
      ) : (
        <Remote of={runs} what="runs">
          {(known) => (
            <>
              <Curves key={known.length} runs={known.map(({ job, events }) => ({ name: nameOf(job, known), events }))} />
              <Panel title="Side by side">
                <Figures runs={known} />
              </Panel>
            </>
          )}
        </Remote>
      )}
    </Page>
  );
}

function Figures({ runs }: { readonly runs: readonly Run[] }) {
  const hyper =
    (field: string) =>
    ({ job }: Run) =>
      String(job.hyperparameters[field] ?? "–");
  const best = (field: string, choose: (...values: number[]) => number, format: (value: number) => string) => (run: Run) => {
    const values = run.events.flatMap(({ data }) => data[field] ?? []);
    return values.length === 0 ? "–" : format(values.reduce((one, other) => choose(one, other)));
  };
  return (
    <Table
      caption="Runs side by side"
      rows={runs}
      keyOf={({ job }) => job.id}
      columns={[
        { title: "Run", cell: ({ job }) => <a href={hrefTo("fine-tunes", [job.id])}>{nameOf(job, runs)}</a> },
        { title: "State", cell: ({ job }) => <JobBadge job={job} /> },
        { title: "Epochs", numeric: true, cell: hyper("n_epochs") },
        { title: "Batch", numeric: true, cell: hyper("batch_size") },
        { title: "Rank", numeric: true, cell: hyper("rank") },
        { title: "Rate ×", numeric: true, cell: hyper("learning_rate_multiplier") },
        { title: "Steps", numeric: true, cell: ({ job }) => count(job.steps_done) },
        { title: "Best held-out loss", numeric: true, cell: best("valid_loss", Math.min, (value) => value.toFixed(3)) },
        { title: "Best held-out accuracy", numeric: true, cell: best("valid_mean_token_accuracy", Math.max, percent) },
      ]}
    />
  );
}

/** Two runs may have one name: then their ids tell them apart. */
function nameOf(job: Job, runs: readonly Run[]): string {
  const alone = runs.every((run) => run.job.id === job.id || run.job.user_provided_suffix !== job.user_provided_suffix);
  return alone ? job.user_provided_suffix : `${job.user_provided_suffix} ${job.id.slice(-4)}`;
}
