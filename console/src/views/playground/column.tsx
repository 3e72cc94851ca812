import { baseOf, type Model, type PriceAnswer, ratesOf } from "../../api/index.ts";
import { Empty } from "../../components/index.ts";
import { Answer } from "./answer.tsx";
import { ModelPicker } from "./model-picker.tsx";
import { playground } from "./playground-state.ts";

interface ColumnProps {
  readonly column: 0 | 1;
  readonly models: readonly Model[];
  /** Undefined while they are not known: then nothing is said about money. */
  readonly prices: PriceAnswer | undefined;
}

/** One model and what it said. */
export function Column({ column, models, prices }: ColumnProps) {
  const { models: chosen, shownTurns, comparing, mode } = playground();
  const name = comparing.value ? `Model ${"AB"[column]}` : "Model";
  const choose = (model: string) => {
    const [first, second] = chosen.value;
    chosen.value = column === 0 ? [model, second] : [first, model];
  };
  return (
    <section class="panel column" aria-label={name}>
      <ModelPicker label={name} models={models} value={chosen.value[column]} onChange={choose} />
      {shownTurns.value.length === 0 && <Empty title={mode.value === "chat" ? "Say something to begin." : "The answer comes here."} />}
      {shownTurns.value.map(({ id, asked, runs }) => {
        const run = runs[column];
        return (
          <div class="turn" key={id}>
            {mode.value === "chat" && <p class="asked">{asked}</p>}
            {run && run.model !== chosen.value[column] && <p class="hint">answered by {run.model}</p>}
            {run && <Answer run={run} rates={prices && ratesOf(prices, baseOf(models, run.model))} />}
          </div>
        );
      })}
    </section>
  );
}
