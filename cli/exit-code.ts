import { CommanderError } from "commander";
import { isFault, toFault } from "#kernel";

/** What the shell is told. Fixed: scripts depend on them. */
export const EXIT = { ok: 0, failure: 1, usage: 2, auth: 3, notFound: 4, quota: 5, interrupted: 130 } as const;

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (!isFault(error)) return EXIT.failure;
  switch (toFault(error).code) {
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
