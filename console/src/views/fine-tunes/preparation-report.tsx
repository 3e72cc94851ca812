import { Badge, Checkbox, count, duration, Icon, Stat, Stats } from "../../components/index.ts";
import type { Preparation, PreparationStep } from "./preparation.ts";

interface PreparationReportProps {
  readonly of: Preparation;
  /** Dollars, for all epochs; undefined while prices are not known. */
  readonly price: string | undefined;
  readonly declined: readonly string[];
  readonly split: boolean;
  readonly onDeclined: (declined: readonly string[]) => void;
  readonly onSplit: (split: boolean) => void;
}

/** What was found in a file and done about it; what was only recommended can be undone. */
export function PreparationReport({ of, price, declined, split, onDeclined, onSplit }: PreparationReportProps) {
  const { rows, tokens, steps, epochs, epochs_reason: reason, trained_tokens: trained, estimated_seconds: seconds } = of;
  const listed = steps.filter(
    (step, index) =>
      !(step.kind === "recommended" && steps.findIndex(({ check, kind }) => check === step.check && kind === step.kind) !== index),
  );
  return (
    <div class="stack">
      <Stats>
        <Stat
          label="Examples"
          value={count(rows.kept)}
          note={rows.dropped > 0 ? `${count(rows.dropped)} of ${count(rows.read)} dropped` : `all kept`}
        />
        <Stat label="Tokens a pass" value={count(tokens.total)} note={`longest ${count(tokens.longest)}`} />
        <Stat label="Passes" value={epochs} note={reason} />
        {price !== undefined && (
          <Stat label={epochs === 1 ? "Price of it" : "Price of these"} value={price} note={`${count(trained)} tokens`} />
        )}
        <Stat label="Time, about" value={duration(seconds * 1_000)} />
      </Stats>
      <ul class="findings" aria-label="What preparation found">
        {listed.map((step) => (
          <li key={`${step.kind} ${step.check}`} class={`finding finding-${step.kind}`}>
            <Finding step={step} declined={declined} onDeclined={onDeclined} />
          </li>
        ))}
      </ul>
      <Checkbox
        label="Hold some examples out, to measure with"
        hint={of.task === "classification" ? `These look like labels: ${count(of.classes ?? 0)} of them.` : undefined}
        checked={split}
        onChange={onSplit}
      />
    </div>
  );
}

interface FindingProps {
  readonly step: PreparationStep;
  readonly declined: readonly string[];
  readonly onDeclined: (declined: readonly string[]) => void;
}

function Finding({ step, declined, onDeclined }: FindingProps) {
  const { check, kind, message } = step;
  if (kind === "recommended")
    return (
      <Checkbox
        label={message}
        checked={!declined.includes(check)}
        onChange={(checked) => onDeclined(checked ? declined.filter((each) => each !== check) : [...declined, check])}
      />
    );
  return (
    <>
      <Icon name={kind === "necessary" ? "check" : "note"} />
      <span class="grow finding-text">{message}</span>
      {kind === "necessary" && <Badge kind="good">fixed</Badge>}
    </>
  );
}
