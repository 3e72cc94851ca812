import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { Icon } from "../../components/index.ts";

interface FileDropProps {
  readonly onFile: (file: File) => void;
  readonly busy: boolean;
}

/** A place to drop a file; for the keyboard, the browser's own file input. */
export function FileDrop({ onFile, busy }: FileDropProps) {
  const id = useId();
  const over = useSignal(false);
  const take = (files: FileList | null | undefined) => {
    const [file] = files ?? [];
    if (file && !busy) onFile(file);
  };
  const drag = (event: DragEvent, isOver: boolean) => {
    event.preventDefault();
    over.value = isOver;
  };
  return (
    <label
      for={id}
      class={over.value ? "drop drop-over" : "drop"}
      onDragOver={(event) => drag(event, true)}
      onDragLeave={(event) => drag(event, false)}
      onDrop={(event) => {
        drag(event, false);
        take(event.dataTransfer?.files);
      }}
    >
      <Icon name="upload" />
      <span class="drop-title">Drop a file of examples, or choose one</span>
      <span class="hint">JSONL, JSON, CSV, TSV, XLSX or text: a prompt and a completion, or a conversation, per row.</span>
      <input
        id={id}
        class="drop-input"
        type="file"
        accept=".jsonl,.json,.csv,.tsv,.xlsx,.txt"
        disabled={busy}
        onChange={(event) => {
          take(event.currentTarget.files);
          event.currentTarget.value = ""; // The same file may be chosen again, changed.
        }}
      />
    </label>
  );
}
