import { useId } from "preact/hooks";

interface SliderProps {
  readonly label: string;
  /** Undefined: not set, what the model's own default is. */
  readonly value: number | undefined;
  readonly onInput: (value: number | undefined) => void;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  /** Where the slider stands, and what is shown, while nothing is set. */
  readonly fallback: number;
  readonly hint?: string;
}

/** A range with the number beside it: for the mouse, the keyboard, and who knows what they want. */
export function Slider({ label, value, onInput, min, max, step, fallback, hint }: SliderProps) {
  const id = useId();
  const shown = value ?? fallback;
  const read = (text: string) => {
    const number = Number(text);
    onInput(text === "" || !Number.isFinite(number) ? undefined : Math.min(Math.max(number, min), max));
  };
  return (
    <div class={`field slider${value === undefined ? " slider-unset" : ""}`} title={hint}>
      <label for={id}>{label}</label>
      <input
        type="number"
        class="num"
        aria-label={`${label}, as a number`}
        min={min}
        max={max}
        step={step}
        value={value ?? ""}
        placeholder={String(fallback)}
        onChange={(event) => read(event.currentTarget.value)}
      />
      <input id={id} type="range" min={min} max={max} step={step} value={shown} onInput={(event) => read(event.currentTarget.value)} />
    </div>
  );
}
