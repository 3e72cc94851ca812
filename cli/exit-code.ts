import { CommanderError } from "commander";
import { type FaultReason, isFault } from "#kernel";

/** What the shell is told. Fixed: scripts depend on them. */
export const EXIT = { ok: 0, failure: 1, usage: 2, auth: 3, notFound: 4, quota: 5, interrupted: 130 } as const;

/** What was typed is wrong, whoever noticed: the parser, the command, or the server that was asked. A file's content is not typed. */
const TYPED_WRONG: ReadonlySet<FaultReason> = new Set([
  "parameter_invalid",
  "parameter_unsupported",
  "prompt_malformed",
  "context_too_long",
]);

/** The exit code that an error calls for; `docs/operations.md` has them as a table. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (!isFault(error)) return EXIT.failure;
  if (TYPED_WRONG.has(error.reason)) return EXIT.usage;
  switch (error.code) {
    case "unauthenticated":
    case "permission_denied":
      return EXIT.auth;
    case "not_found":
      return EXIT.notFound;
    case "resource_exhausted":
      return EXIT.quota;
    case "cancelled":
      return EXIT.interrupted;
    default:
      return EXIT.failure;
  }
}
