import { count, moment, Panel, percent, Table } from "../../components/index.ts";
import { hrefTo } from "../../routing/index.ts";
import type { Checkpoint } from "./job.ts";

/** Models on the way: each can be called like the last one. */
export function Checkpoints({ of }: { readonly of: readonly Checkpoint[] }) {
  const number = (value: number | undefined, format: (value: number) => string) => (value === undefined ? "–" : format(value));
  const loss = (value: number | undefined) => number(value, (each) => each.toFixed(3));
  const share = (value: number | undefined) => number(value, (each) => percent(each));
  return (
    <Panel title="Checkpoints">
      <Table
        caption="Saved checkpoints"
        rows={of}
        keyOf={({ id }) => id}
        columns={[
          { title: "Step", cell: ({ step_number: step }) => count(step) },
          { title: "Loss", numeric: true, cell: ({ metrics }) => loss(metrics["train_loss"]) },
          { title: "Held-out loss", numeric: true, cell: ({ metrics }) => loss(metrics["valid_loss"]) },
          { title: "Accuracy", numeric: true, cell: ({ metrics }) => share(metrics["train_mean_token_accuracy"]) },
          { title: "Held-out accuracy", numeric: true, cell: ({ metrics }) => share(metrics["valid_mean_token_accuracy"]) },
          { title: "Saved", cell: ({ created_at: at }) => moment(at) },
          {
            title: "Model",
            cell: ({ fine_tuned_model_checkpoint: model }) =>
              model === null ? <span class="muted">removed</span> : <a href={hrefTo("playground", [], { model })}>{model}</a>,
          },
        ]}
      />
    </Panel>
  );
}
