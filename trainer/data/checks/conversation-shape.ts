import type { ChatRow } from "../rows.ts";
import type { Check } from "./check.ts";
import { describeRows, RowSet } from "./row-set.ts";

/** Conversations that can be learned from, but may not be what was meant. */
const ODDITIES: readonly (readonly [(row: ChatRow) => boolean, string])[] = [
  [({ messages }) => !messages.some(({ role }) => role === "user"), "no message is of the user"],
  [
    ({ messages }) => messages.some(({ role }, index) => index > 0 && messages[index - 1]!.role === role),
    "one speaker has two messages in a row, which some templates refuse",
  ],
  [({ messages }) => messages.at(-1)!.role !== "assistant", "the last message is not of the assistant, and is left out"],
];

/** Only pointed out: roles and their order, of which only the author knows whether they are right. */
export function conversationShape(stage: number): Check<ChatRow> {
  return {
    name: "conversation shape",
    stage,
    start() {
      const odd = ODDITIES.map(([, what]) => ({ what, rows: new RowSet() }));
      return {
        see(row) {
          if (row.problem === undefined) for (const [index, [applies]] of ODDITIES.entries()) if (applies(row)) odd[index]!.rows.add(row);
        },
        conclude() {
          const told = odd.filter(({ rows }) => rows.size > 0).map(({ what, rows }) => `WARNING: ${describeRows(rows)}: ${what}`);
          return told.length === 0 ? undefined : { immediateMessage: told.join("\n  ") };
        },
      };
    },
  };
}
