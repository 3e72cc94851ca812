import type { Rates } from "../../api/index.ts";
import { Failure } from "../../components/index.ts";
import type { Choice, Run } from "./run.ts";
import { RunFigures } from "./run-figures.tsx";
import { TokenText } from "./token-text.tsx";

/** What a model says, as it says it, with what that took. */
export function Answer({ run, rates }: { readonly run: Run; readonly rates: Rates | undefined }) {
  const { choices, status, failure } = run.state.value;
  const open = status === "waiting" || status === "streaming";
  return (
    <div class="answer" aria-busy={open}>
      {choices.length > 1 ? (
        choices.map((choice, index) => (
          <div class="choice" key={index}>
            <h3 class="muted">Choice {index + 1}</h3>
            <ChoiceText choice={choice} />
          </div>
        ))
      ) : (
        <ChoiceText choice={choices[0]} />
      )}
      {open && <span class="caret" aria-hidden="true" />}
      {failure && <Failure failure={failure} />}
      {status === "done" && choices.every(({ text }) => text === "") && <p class="hint">The model ended without a word.</p>}
      <RunFigures run={run} rates={rates} />
    </div>
  );
}

function ChoiceText({ choice }: { readonly choice: Choice | undefined }) {
  if (!choice) return null;
  if (choice.tokens.length > 0) return <TokenText tokens={choice.tokens} text={choice.text} />;
  return <div class="answer-text">{choice.text}</div>;
}
