import { useId } from "preact/hooks";

interface TabsProps {
  /** What is chosen by them. */
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly options: readonly { readonly value: string; readonly label: string }[];
}

/** One of a few: radio buttons that look like one switch, so that arrow keys work as everywhere. */
export function Tabs({ label, value, onChange, options }: TabsProps) {
  const name = useId();
  return (
    <fieldset class="tabs">
      <legend class="unseen">{label}</legend>
      {options.map((option) => (
        <label key={option.value} class="tab">
          <input type="radio" name={name} value={option.value} checked={option.value === value} onChange={() => onChange(option.value)} />
          <span>{option.label}</span>
        </label>
      ))}
    </fieldset>
  );
}
