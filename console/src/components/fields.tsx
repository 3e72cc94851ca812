import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface FieldProps {
  readonly label: string;
  /** What it means, below it. */
  readonly hint?: ComponentChildren;
}

interface TextFieldProps extends FieldProps {
  readonly value: string;
  readonly onInput: (value: string) => void;
  /** Shown as dots. */
  readonly secret?: boolean;
  readonly placeholder?: string;
  readonly invalid?: boolean;
  readonly autoFocus?: boolean;
}

export function TextField({
  label,
  hint,
  value,
  onInput,
  secret = false,
  placeholder,
  invalid = false,
  autoFocus = false,
}: TextFieldProps) {
  const id = useId();
  const shared = {
    ...{ id, value, placeholder, "aria-invalid": invalid, "aria-describedby": hint ? `${id}-hint` : undefined },
    autocomplete: "off",
    spellcheck: false,
    ref: (input: HTMLInputElement | null) => {
      if (autoFocus && input && document.activeElement === document.body) input.focus();
    },
    onInput: (event: { readonly currentTarget: HTMLInputElement }) => onInput(event.currentTarget.value),
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {secret ? <input type="password" {...shared} /> : <input type="text" {...shared} />}
      <Hint id={id} hint={hint} />
    </div>
  );
}

interface TextAreaProps extends FieldProps {
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly rows?: number;
  readonly placeholder?: string;
  /** Ctrl+Enter, or ⌘+Enter. */
  readonly onSubmit?: () => void;
}

export function TextArea({ label, hint, value, onInput, rows = 4, placeholder, onSubmit }: TextAreaProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea
        id={id}
        rows={rows}
        value={value}
        placeholder={placeholder}
        spellcheck={false}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onInput={(event) => onInput(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) onSubmit?.();
        }}
      />
      <Hint id={id} hint={hint} />
    </div>
  );
}

export interface Option {
  readonly value: string;
  readonly label?: string;
}

export interface OptionGroup {
  readonly label: string;
  readonly options: readonly Option[];
}

interface SelectProps extends FieldProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly options: readonly (Option | OptionGroup)[];
}

export function Select({ label, hint, value, onChange, options }: SelectProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select
        id={id}
        value={value}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onChange(event.currentTarget.value)}
      >
        {options.map((each) =>
          "options" in each ? (
            <optgroup key={each.label} label={each.label}>
              {each.options.map((option) => (
                <SelectOption key={option.value} option={option} chosen={value} />
              ))}
            </optgroup>
          ) : (
            <SelectOption key={each.value} option={each} chosen={value} />
          ),
        )}
      </select>
      <Hint id={id} hint={hint} />
    </div>
  );
}

/** Chosen by itself: options may come after the value that names them. */
function SelectOption({ option, chosen }: { readonly option: Option; readonly chosen: string }) {
  return (
    <option value={option.value} selected={option.value === chosen}>
      {option.label ?? option.value}
    </option>
  );
}

interface CheckboxProps extends FieldProps {
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
}

export function Checkbox({ label, hint, checked, onChange }: CheckboxProps) {
  const id = useId();
  return (
    <div class="field field-check">
      <input
        id={id}
        type="checkbox"
        checked={checked}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <label for={id}>{label}</label>
      <Hint id={id} hint={hint} />
    </div>
  );
}

function Hint({ id, hint }: { readonly id: string; readonly hint: ComponentChildren }) {
  if (!hint) return null;
  return (
    <p class="hint" id={`${id}-hint`}>
      {hint}
    </p>
  );
}
