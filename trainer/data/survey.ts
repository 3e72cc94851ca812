import { FingerprintSet, type Survey, type TaskKind } from "./checks/index.ts";
import type { CompletionRow, Row } from "./rows.ts";
import type { Surveyor } from "./settle.ts";

/** No classification has more classes; counting them ends there. */
const CLASSES_MAX = 1_000_000;
/** Fewer different completions than a third of the rows: they are labels. */
const ROWS_PER_CLASS = 3;

/** Rows alone: before columns are known, and of conversations. */
export function countRows(task: TaskKind): Surveyor<Row> {
  let rows = 0;
  return {
    see() {
      rows++;
    },
    conclude: (): Survey => ({ rows, task, classes: 0 }),
  };
}

/** What prompts and completions are for: texts without prompts, one of a few labels, or a text for a text. */
export function surveyCompletions(): Surveyor<CompletionRow> {
  const completions = new FingerprintSet();
  let rows = 0;
  let prompts = 0;
  return {
    see({ prompt, completion }) {
      rows++;
      if (prompt !== "") prompts++;
      if (completions.size < CLASSES_MAX) completions.add(completion);
    },
    conclude() {
      const classes = completions.size;
      return {
        rows,
        classes,
        task: prompts === 0 ? "open-ended" : classes < rows / ROWS_PER_CLASS && classes < CLASSES_MAX ? "classification" : "conditional",
      };
    },
  };
}
