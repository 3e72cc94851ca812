import type { ChatRow } from "../rows.ts";
import type { Check } from "./check.ts";

/** Keys of messages that serving does not use either. */
export function messageKeys(stage: number): Check<ChatRow> {
  return {
    name: "message keys",
    stage,
    start() {
      const keys = new Set<string>();
      return {
        see({ unusedKeys }) {
          for (const key of unusedKeys) keys.add(key);
        },
        conclude() {
          if (keys.size === 0) return undefined;
          const names = [...keys].map((key) => JSON.stringify(key)).join(", ");
          return {
            necessary: {
              message: `Drop the message keys ${names}, which are not learned from`,
              rewrite: (row) => ({ ...row, unusedKeys: [] }),
            },
          };
        },
      };
    },
  };
}
