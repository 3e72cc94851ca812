import { Checkbox, TextField } from "../../components/index.ts";
import { KNOBS, type KnobTexts } from "./knobs.ts";

interface KnobsPanelProps {
  readonly value: KnobTexts;
  readonly onChange: (value: KnobTexts) => void;
  /** The router's word for what it refused. */
  readonly refusedField: string | undefined;
}

/** For those who want to set something themselves. */
export function KnobsPanel({ value, onChange, refusedField = "" }: KnobsPanelProps) {
  const set = (change: Partial<KnobTexts>) => onChange({ ...value, ...change });
  return (
    <details open={refusedField.includes("hyperparameters") || refusedField === "seed"}>
      <summary>Every knob</summary>
      <div class="stack">
        <div class="columns knobs">
          {KNOBS.map(({ field, label, hint }) => (
            <TextField
              key={field}
              label={label}
              hint={hint}
              placeholder="chosen for you"
              value={value.values[field] ?? ""}
              invalid={refusedField.endsWith(field)}
              onInput={(text) => set({ values: { ...value.values, [field]: text } })}
            />
          ))}
          <TextField
            label="Seed"
            hint="the same seed trains the same model"
            placeholder="drawn"
            value={value.seed}
            onInput={(seed) => set({ seed })}
          />
        </div>
        <Checkbox
          label="Scale by the square root of the rank"
          checked={value.rankStabilised}
          onChange={(rankStabilised) => set({ rankStabilised })}
        />
        <Checkbox
          label="Count classes"
          hint="Measures accuracy, precision and recall over the labels of the held-out examples."
          checked={value.classification}
          onChange={(classification) => set({ classification })}
        />
      </div>
    </details>
  );
}
