import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { baseOf, getPrices, listModels, type Model, useResource } from "../../api/index.ts";
import { Button, Empty, Failure, Page, Remote, Tabs } from "../../components/index.ts";
import { route } from "../../routing/index.ts";
import { CodeDialog } from "./code-dialog.tsx";
import { Column } from "./column.tsx";
import { Composer } from "./composer.tsx";
import { type Mode, playground } from "./playground-state.ts";
import { SettingsPanel } from "./settings-panel.tsx";
import "./playground.css";

const MODES = [
  { value: "chat", label: "Chat" },
  { value: "prompt", label: "Prompt" },
] as const;

/** Talks to a model, or to two at once. `?model=…&mode=prompt` chooses beforehand. */
export default function PlaygroundView() {
  const state = playground();
  const models = useResource(listModels, []);
  const prices = useResource(getPrices, []);
  const codeShown = useSignal(false);
  const { mode, comparing, columns } = state;
  const setMode = (value: string) => {
    mode.value = value as Mode;
  };
  useEffect(() => chooseFromAddress(), [route.value]);
  const compare = (known: readonly Model[]) => {
    const [first, second] = state.models.value;
    if (!comparing.value && second === "") state.models.value = [first, counterpartOf(known, first)];
    comparing.value = !comparing.value;
  };
  return (
    <Remote of={models} what="models">
      {(known) => {
        if (known.length === 0) return <Empty title="There are no models yet." icon="playground" />;
        if (state.models.value[0] === "") state.models.value = [firstOf(known), state.models.value[1]];
        return (
          <Page
            title="Playground"
            actions={
              <>
                <Tabs label="Mode" value={mode.value} options={MODES} onChange={setMode} />
                <Button icon="compare" pressed={comparing.value} onPress={() => compare(known)}>
                  Compare
                </Button>
                <Button
                  icon="code"
                  onPress={() => {
                    codeShown.value = true;
                  }}
                >
                  View code
                </Button>
              </>
            }
          >
            {prices.state.value.failure && <Failure failure={prices.state.value.failure} retry={prices.reload} />}
            <div class={`playground playground-${mode.value}`}>
              <div class="talk">
                <div class={comparing.value ? "sides sides-two" : "sides"}>
                  {columns.value.map((column) => (
                    <Column key={column} column={column} models={known} prices={prices.state.value.value} />
                  ))}
                </div>
                <Composer />
              </div>
              <SettingsPanel />
            </div>
            {codeShown.value && (
              <CodeDialog
                call={state.shownCall()}
                onClose={() => {
                  codeShown.value = false;
                }}
              />
            )}
          </Page>
        );
      }}
    </Remote>
  );
}

function chooseFromAddress(): void {
  const { mode, models } = playground();
  const { query } = route.value;
  const model = query.get("model");
  const wanted = MODES.find(({ value }) => value === query.get("mode"));
  if (model) models.value = [model, models.value[1]];
  if (wanted) mode.value = wanted.value;
}

/** One's own first: the base is there to compare with. */
function firstOf(models: readonly Model[]): string {
  const own = models.filter(({ parent }) => parent !== null);
  return (own.find(({ id, root }) => id !== root) ?? own[0] ?? models[0]!).id;
}

/** Of a delta its base; of a base a delta over it. */
function counterpartOf(models: readonly Model[], model: string): string {
  const base = baseOf(models, model);
  return base === model ? (models.find(({ parent }) => parent === base)?.id ?? model) : base;
}
