import { type ChatRow, COLUMNS, type CompletionRow, type DataKind, type RawRow } from "../rows.ts";
import type { Check } from "./check.ts";
import { completionPrefix } from "./completion-prefix.ts";
import { completionSpace } from "./completion-space.ts";
import { completionStop } from "./completion-stop.ts";
import { conversationShape } from "./conversation-shape.ts";
import { duplicates } from "./duplicates.ts";
import { emptyCompletions } from "./empty-completions.ts";
import { extraColumns } from "./extra-columns.ts";
import { longRows } from "./long-rows.ts";
import { messageKeys } from "./message-keys.ts";
import { neededColumn } from "./needed-column.ts";
import { plainTexts } from "./plain-texts.ts";
import { promptPrefix } from "./prompt-prefix.ts";
import { promptSeparator } from "./prompt-separator.ts";
import { rowCount } from "./row-count.ts";
import { taskAdvice } from "./task-advice.ts";
import { unusableRows } from "./unusable-rows.ts";
import { upperCase } from "./upper-case.ts";

export type { Check, Finding, Fix, Survey, TaskKind } from "./check.ts";
export { FingerprintSet } from "./fingerprint-set.ts";
export { countOf, RowSet } from "./row-set.ts";

/** Of the records, before their columns are known. The order is that in which people have known them since 2021. */
export function columnChecks(kind: DataKind): readonly Check<RawRow>[] {
  const columns = COLUMNS[kind];
  return [unusableRows(0), rowCount(1), ...columns.map((column) => neededColumn(1, column)), extraColumns(2, columns)];
}

/** Of prompts and completions. */
export const COMPLETION_CHECKS: readonly Check<CompletionRow>[] = [
  unusableRows(0),
  plainTexts(1),
  emptyCompletions(1),
  taskAdvice(2),
  duplicates(2, ({ prompt, completion }: CompletionRow) => [prompt, completion]),
  longRows(2),
  upperCase(3, "prompt"),
  upperCase(3, "completion"),
  promptSeparator(4),
  promptPrefix(4),
  completionPrefix(4),
  completionStop(4),
  completionSpace(4),
];

/** Of conversations. Separators, stops and spaces are the template's business. */
export const CHAT_CHECKS: readonly Check<ChatRow>[] = [
  unusableRows(0),
  messageKeys(1),
  duplicates(2, ({ messages }: ChatRow) => messages),
  conversationShape(3),
];
