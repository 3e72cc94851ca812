import { useSignal } from "@preact/signals";
import { getPrices, ratesOf, useResource } from "../../api/index.ts";
import { Button, count, Remote, TextField, usd } from "../../components/index.ts";
import { goTo } from "../../routing/index.ts";
import { newJob } from "./new-job-state.ts";
import { readRecords } from "./start-sweep.ts";
import { AXES, plannedTokens, planSweep, type SweepTexts } from "./sweep-plan.ts";

/** Is it worth labelling more? Trains on growing parts of what was prepared, and shows what they come to. */
export function SweepPanel() {
  const opened = useSignal(false);
  return (
    <details
      onToggle={({ currentTarget }) => {
        opened.value ||= currentTarget.open;
      }}
    >
      <summary>A sweep instead: what would more examples bring?</summary>
      {opened.value && <SweepForm />}
    </details>
  );
}

function SweepForm() {
  const { preparation } = newJob();
  const file = preparation.value!.training_file;
  const records = useResource((signal) => readRecords(file, signal), [file.id]);
  return (
    <Remote of={records} what="the examples">
      {(known) => <Plan records={known} />}
    </Remote>
  );
}

function Plan({ records }: { readonly records: readonly string[] }) {
  const { base, preparation, knobs, busy, startSweep } = newJob();
  const texts = useSignal<SweepTexts>({});
  const prices = useResource(getPrices, []);
  const report = preparation.value!;
  const plan = planSweep(texts.value, { base: base.value, records: records.length, holdsOut: report.validation_file === null });
  const problem = "why" in plan ? plan : undefined;
  const field = (name: keyof SweepTexts, label: string, hint: string, placeholder: string) => (
    <TextField
      key={name}
      {...{ label, hint, placeholder }}
      value={texts.value[name] ?? ""}
      invalid={problem?.field === name}
      onInput={(text) => {
        texts.value = { ...texts.value, [name]: text };
      }}
    />
  );
  const tokensPerExample = report.trained_tokens / (report.epochs * report.rows.kept);
  const epochs = Number(knobs.value.values["n_epochs"]) || report.epochs;
  const tokens = "why" in plan ? 0 : plannedTokens(plan, { tokensPerExample, epochs });
  const known = prices.state.value.value;
  const measured = "why" in plan || plan.heldOut === 0 ? "The examples held out" : `${count(plan.heldOut)} examples held out`;
  return (
    <div class="stack">
      <div class="columns knobs">
        {field("sizes", "Sizes", `examples to train on, of ${count(records.length)}`, "an eighth, a quarter, a half, all")}
        {AXES.map(({ field: name, label }) => field(name, label, "compared: a list, as 4, 8", "as above"))}
      </div>
      <p class="hint" role="status">
        {"why" in plan
          ? `${plan.why}.`
          : `${count(plan.cells.length)} trainings, about ${count(tokens)} tokens${known ? `, ${usd(ratesOf(known, base.value).training * tokens)}` : ""}. ${measured} measure each of them.`}
      </p>
      <div class="row">
        <Button
          icon="compare"
          disabled={"why" in plan}
          busy={busy.value !== undefined}
          onPress={() => {
            if ("cells" in plan) void startSweep(plan, records, (sweep) => goTo("fine-tunes", ["sweep", sweep]));
          }}
        >
          Start the sweep
        </Button>
      </div>
    </div>
  );
}
