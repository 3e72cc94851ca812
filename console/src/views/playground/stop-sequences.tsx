import { useSignal } from "@preact/signals";
import { Icon, TextField } from "../../components/index.ts";
import { STOP_CHARACTERS_MAX, STOPS_MAX } from "./settings.ts";

interface StopSequencesProps {
  readonly value: readonly string[];
  readonly onChange: (value: readonly string[]) => void;
}

/** Texts that end the answer. `\n` is written like that, since Enter adds one. */
export function StopSequences({ value, onChange }: StopSequencesProps) {
  const typed = useSignal("");
  const add = (event: SubmitEvent) => {
    event.preventDefault();
    const stop = typed.value.replaceAll("\\n", "\n").replaceAll("\\t", "\t").slice(0, STOP_CHARACTERS_MAX);
    if (stop !== "" && !value.includes(stop)) onChange([...value, stop]);
    typed.value = "";
  };
  return (
    <form class="stack-tight" onSubmit={add}>
      {value.length < STOPS_MAX && (
        <TextField
          label="Stop sequences"
          value={typed.value}
          placeholder="\n, then Enter"
          onInput={(text) => {
            typed.value = text;
          }}
        />
      )}
      {value.length > 0 && (
        <ul class="chips" aria-label="Stop sequences">
          {value.map((stop) => (
            <li key={stop}>
              <button
                type="button"
                class="chip"
                aria-label={`Remove the stop sequence ${shown(stop)}`}
                onClick={() => onChange(value.filter((each) => each !== stop))}
              >
                <code>{shown(stop)}</code>
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
      )}
    </form>
  );
}

function shown(stop: string): string {
  return stop.replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}
