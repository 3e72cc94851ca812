import { getPrices, listModels, type Model, ratesOf, useResource } from "../../api/index.ts";
import { Button, Checkbox, Failure, Loading, Notice, Page, Panel, Remote, Select, TextField, usd } from "../../components/index.ts";
import { goTo } from "../../routing/index.ts";
import { FileDrop } from "./file-drop.tsx";
import { KnobsPanel } from "./knobs-panel.tsx";
import { newJob } from "./new-job-state.ts";
import { PreparationReport } from "./preparation-report.tsx";
import { SweepPanel } from "./sweep-panel.tsx";

/** From a file to a job: drop it, see what was found, start. */
export function NewJobPage() {
  const models = useResource(listModels, []);
  return (
    <Page title="New fine-tune" lead="From a file of examples to a model that can be called.">
      <Remote of={models} what="bases">
        {(known) => <NewJob bases={known.filter(({ parent }) => parent === null)} />}
      </Remote>
    </Page>
  );
}

function NewJob({ bases }: { readonly bases: readonly Model[] }) {
  const state = newJob();
  const { base, file, preparation, busy, failure } = state;
  if (base.value === "" && bases[0]) base.value = bases[0].id;
  if (base.value === "") return <Notice kind="warn">There is no base to train yet.</Notice>;
  return (
    <>
      <Panel title="Examples">
        <Select
          label="Base"
          value={base.value}
          options={bases.map(({ id }) => ({ value: id }))}
          onChange={(model) => void state.change({ base: model })}
        />
        <FileDrop busy={busy.value === "Starting"} onFile={(chosen) => void state.take(chosen)} />
        {failure.value && (
          <Failure failure={failure.value} {...(file.value && !preparation.value && { retry: () => void state.change({}) })} />
        )}
        {busy.value && !preparation.value && <Loading what={busy.value.toLowerCase()} />}
      </Panel>
      {preparation.value && <Prepared />}
    </>
  );
}

function Prepared() {
  const state = newJob();
  const { base, file, preparation, declined, split, knobs, busy, failure } = state;
  const prices = useResource(getPrices, []);
  const known = prices.state.value.value;
  const report = preparation.value!;
  const price = known && usd(ratesOf(known, base.value).training * report.trained_tokens);
  return (
    <>
      <Panel title={file.value?.filename ?? "Prepared"}>
        <PreparationReport
          of={report}
          price={price}
          declined={declined.value}
          split={split.value}
          onDeclined={(next) => void state.change({ declined: next })}
          onSplit={(next) => void state.change({ split: next })}
        />
      </Panel>
      <Panel title="Training">
        <div class="columns">
          <TextField
            label="Name"
            placeholder="tuned"
            hint="Becomes part of the model's name: lower-case letters, digits and dashes."
            value={knobs.value.suffix}
            invalid={failure.value?.field === "suffix"}
            onInput={(suffix) => {
              knobs.value = { ...knobs.value, suffix };
            }}
          />
          <Checkbox
            label="Stop by itself"
            hint="Holds every tenth example back, ends when they get no better, and keeps the best: up to 25 passes."
            checked={knobs.value.auto}
            onChange={(auto) => {
              knobs.value = { ...knobs.value, auto };
            }}
          />
        </div>
        <KnobsPanel
          value={knobs.value}
          refusedField={failure.value?.field}
          onChange={(next) => {
            knobs.value = next;
          }}
        />
        <div class="row">
          <Button
            kind="primary"
            icon="play"
            busy={busy.value !== undefined}
            onPress={() => void state.start((job) => goTo("fine-tunes", [job.id]))}
          >
            Start training
          </Button>
          {busy.value && (
            <span class="hint" role="status">
              {busy.value} …
            </span>
          )}
        </div>
        <SweepPanel />
      </Panel>
    </>
  );
}
