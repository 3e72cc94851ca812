import { useSignal } from "@preact/signals";
import { useResource } from "../../api/index.ts";
import { Button, type Column, count, Empty, moment, Page, Panel, Remote, Table } from "../../components/index.ts";
import { goTo, hrefTo } from "../../routing/index.ts";
import { isOperator } from "../../session/index.ts";
import { type Job, listJobs } from "./job.ts";
import { JobBadge } from "./job-badge.tsx";

const REFRESH_MS = 3_000;

/** All jobs, newest first; some of them to be compared. */
export function JobListPage() {
  const jobs = useResource(listJobs, [], { everyMs: REFRESH_MS });
  const chosen = useSignal<readonly string[]>([]);
  // A file, and so a job, belongs to a tenant; an operator sees those of all.
  const start = isOperator.value ? undefined : (
    <Button kind="primary" icon="plus" onPress={() => goTo("fine-tunes", ["new"])}>
      New fine-tune
    </Button>
  );
  const compare = (
    <Button
      icon="compare"
      disabled={chosen.value.length < 2}
      onPress={() => goTo("fine-tunes", ["compare"], { jobs: chosen.value.join(",") })}
    >
      Compare{chosen.value.length > 0 ? ` ${chosen.value.length}` : ""}
    </Button>
  );
  return (
    <Page
      title="Fine-tunes"
      lead={isOperator.value ? "Of all tenants." : "Models of your own: a few megabytes over a shared base."}
      actions={start}
    >
      <Remote of={jobs} what="your fine-tunes">
        {(known) =>
          known.length === 0 ? (
            <Empty title="Nothing was trained yet." icon="fine-tunes">
              {start && <>A file of examples is all it takes. {start}</>}
            </Empty>
          ) : (
            <>
              <Sweeps jobs={known} />
              <Panel title="Jobs" actions={compare}>
                <Table caption="Fine-tuning jobs" columns={columnsOf(chosen)} rows={known} keyOf={({ id }) => id} />
              </Panel>
            </>
          )
        }
      </Remote>
    </Page>
  );
}

function columnsOf(chosen: { value: readonly string[] }): readonly Column<Job>[] {
  const toggle = (id: string, checked: boolean) => {
    chosen.value = checked ? [...chosen.value, id] : chosen.value.filter((each) => each !== id);
  };
  return [
    {
      title: "Name",
      cell: (job) => (
        <span class="job-name">
          <input
            type="checkbox"
            aria-label={`Compare ${job.user_provided_suffix}, ${job.id}`}
            checked={chosen.value.includes(job.id)}
            onChange={(event) => toggle(job.id, event.currentTarget.checked)}
          />
          <a href={hrefTo("fine-tunes", [job.id])}>{job.user_provided_suffix}</a>
        </span>
      ),
    },
    ...(isOperator.value ? [{ title: "Tenant", cell: ({ organization_id: tenant }: Job) => tenant }] : []),
    { title: "State", cell: (job) => <JobBadge job={job} /> },
    { title: "Base", cell: ({ model }) => model },
    {
      title: "Steps",
      numeric: true,
      cell: ({ steps_done: done, steps_total: total }) => (total === 0 ? "–" : `${count(done)} of ${count(total)}`),
    },
    { title: "Trained tokens", numeric: true, cell: ({ trained_tokens: tokens }) => (tokens === null ? "–" : count(tokens)) },
    { title: "Created", cell: ({ created_at: at }) => moment(at) },
    { title: "Model", cell: ({ fine_tuned_model: model }) => (model ? <code>{model}</code> : <span class="muted">–</span>) },
  ];
}

/** Jobs that were started together, to find out what more examples would bring. */
function Sweeps({ jobs }: { readonly jobs: readonly Job[] }) {
  const sweeps = Map.groupBy(
    jobs.filter(({ metadata }) => metadata["sweep"] !== undefined),
    ({ metadata }) => metadata["sweep"]!,
  );
  if (sweeps.size === 0) return null;
  return (
    <Panel title="Sweeps">
      <ul class="sweeps">
        {[...sweeps].map(([sweep, members]) => (
          <li key={sweep}>
            <a href={hrefTo("fine-tunes", ["sweep", sweep])}>{sweep}</a>
            <span class="muted">
              {members.filter(({ status }) => status === "succeeded").length} of {members.length} jobs are done
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
