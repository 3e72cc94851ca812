import { CHAT_CHECKS, type Check, COMPLETION_CHECKS } from "./checks/index.ts";
import { type ChatRow, type CompletionRow, chatRow, completionRow, type RawRow, type Row, type TrainingRecord } from "./rows.ts";
import type { Surveyor } from "./settle.ts";
import { countRows, surveyCompletions } from "./survey.ts";

/** All that differs between the kinds of data, once their columns are known. */
export interface Shape<R extends Row> {
  readonly rowOf: (raw: RawRow) => R;
  readonly checks: readonly Check<R>[];
  readonly surveyor: () => Surveyor<R>;
  readonly recordOf: (row: R) => TrainingRecord;
}

export const COMPLETIONS: Shape<CompletionRow> = {
  rowOf: completionRow,
  checks: COMPLETION_CHECKS,
  surveyor: surveyCompletions,
  recordOf: ({ prompt, completion }) => ({ prompt, completion }),
};

export const CONVERSATIONS: Shape<ChatRow> = {
  rowOf: chatRow,
  checks: CHAT_CHECKS,
  surveyor: () => countRows("chat"),
  recordOf: ({ messages }) => ({ messages }),
};
