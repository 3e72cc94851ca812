import { useSignal } from "@preact/signals";
import { ApiFailure, baseOf, failureFrom, getPrices, ratesOf, useResource } from "../../api/index.ts";
import {
  Button,
  Confirm,
  count,
  duration,
  Failure,
  Loading,
  Meter,
  moment,
  Notice,
  Page,
  Panel,
  Stat,
  Stats,
  usd,
} from "../../components/index.ts";
import { goTo, hrefTo } from "../../routing/index.ts";
import { Checkpoints } from "./checkpoints.tsx";
import { Curves } from "./curves.tsx";
import { type FollowedJob, useFollowedJob } from "./followed-job.ts";
import { Hyperparameters } from "./hyperparameters.tsx";
import { command, isOver, type Job } from "./job.ts";
import { JobBadge } from "./job-badge.tsx";
import { ResultFiles } from "./result-files.tsx";

/** One job: how far it is, how it goes, and what came of it. */
export function JobPage({ id }: { readonly id: string }) {
  const followed = useFollowedJob(id);
  const { job, events, checkpoints, failure } = followed.state.value;
  if (!job) return failure ? <Failure failure={failure} retry={followed.again} /> : <Loading what="the job" />;
  return (
    <Page
      title={job.user_provided_suffix}
      lead={
        <>
          <a href={hrefTo("fine-tunes")}>Fine-tunes</a> · <code>{job.id}</code> · <JobBadge job={job} />
        </>
      }
      actions={<Commands job={job} again={followed.again} />}
    >
      {failure && <Failure failure={failure} retry={followed.again} />}
      {job.error && <Failure failure={new ApiFailure(job.error.message, { status: 0, code: job.error.code })} />}
      {job.fine_tuned_model && (
        <Notice kind="good">
          <code class="model-name">{job.fine_tuned_model}</code> is ready, and warm.
        </Notice>
      )}
      <Progress followed={followed.state.value} job={job} />
      <Curves runs={[{ name: "", events }]} />
      {checkpoints.length > 0 && <Checkpoints of={checkpoints} />}
      <div class="columns">
        <Panel title="Events">
          <ol class="events">
            {events
              .filter(({ type }) => type === "message")
              .toReversed()
              .slice(0, EVENTS_SHOWN)
              .map((event) => (
                <li key={event.id} class={`event-${event.level}`}>
                  <time class="muted num">{moment(event.created_at)}</time> {event.message}
                </li>
              ))}
          </ol>
        </Panel>
        <Hyperparameters of={job} />
      </div>
      {job.result_files.length > 0 && <ResultFiles ids={job.result_files} />}
    </Page>
  );
}

const EVENTS_SHOWN = 12;

function Progress({ job, followed }: { readonly job: Job; readonly followed: FollowedJob }) {
  const prices = useResource(getPrices, []);
  const last = followed.events.findLast(({ type }) => type === "metrics")?.data;
  const tokens = job.trained_tokens ?? last?.["trained_tokens"] ?? 0;
  const rates = prices.state.value.value && ratesOf(prices.state.value.value, baseOf([], job.model));
  const left = job.estimated_finish === null ? undefined : Math.max(0, job.estimated_finish * 1_000 - Date.now());
  const { steps_done: done, steps_total: total } = job;
  return (
    <Panel>
      <Meter
        label="Progress"
        value={job.status === "succeeded" ? 1 : done}
        max={job.status === "succeeded" ? 1 : total}
        text={`${done} of ${total} steps`}
        kind={job.status === "failed" ? "bad" : job.status === "succeeded" ? "good" : "accent"}
      />
      <Stats>
        <Stat label="Steps" value={count(last?.["step"] ?? done)} note={total > 0 ? `of ${count(total)}` : undefined} />
        <Stat label="Loss" value={last?.["train_loss"]?.toFixed(3) ?? "–"} />
        <Stat label="Trained tokens" value={count(tokens)} />
        {rates && (
          <Stat
            label={job.status === "failed" ? "Price: nothing is charged" : "Price"}
            value={usd(job.status === "failed" ? 0 : rates.training * tokens)}
          />
        )}
        {job.finished_at !== null ? (
          <Stat label="Took" value={duration((job.finished_at - job.created_at) * 1_000)} />
        ) : (
          <Stat label="Time left, about" value={left === undefined ? "–" : duration(left)} />
        )}
      </Stats>
    </Panel>
  );
}

function Commands({ job, again }: { readonly job: Job; readonly again: () => void }) {
  const failure = useSignal<ApiFailure | undefined>(undefined);
  const asking = useSignal(false);
  const order = async (verb: Parameters<typeof command>[1]) => {
    failure.value = undefined;
    try {
      await command(job.id, verb);
    } catch (error) {
      failure.value = failureFrom(error);
    }
    again();
  };
  const { fine_tuned_model: model } = job;
  return (
    <>
      {failure.value && <Failure failure={failure.value} />}
      {(job.status === "running" || job.status === "queued") && (
        <Button icon="pause" onPress={() => void order("pause")}>
          Pause
        </Button>
      )}
      {job.status === "paused" && (
        <Button icon="play" onPress={() => void order("resume")}>
          Resume
        </Button>
      )}
      {!isOver(job) && (
        <Button
          kind="danger"
          icon="stop"
          onPress={() => {
            asking.value = true;
          }}
        >
          Cancel
        </Button>
      )}
      {model && (
        <Button kind="primary" icon="playground" onPress={() => goTo("playground", [], { model })}>
          Use the model
        </Button>
      )}
      {asking.value && (
        <Confirm
          title="Cancel this job?"
          verb="Cancel the job"
          onConfirm={() => void order("cancel")}
          onClose={() => {
            asking.value = false;
          }}
        >
          It can't be gone on with. What was trained so far is charged; callable checkpoints stay.
        </Confirm>
      )}
    </>
  );
}
