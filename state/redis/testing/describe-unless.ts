import { describe } from "vitest";

/** Tests that cannot run when there is a reason against it; the reason is printed. */
export function describeUnless(reason: string | undefined, name: string, tests: () => void): void {
  if (reason !== undefined) console.warn(`skipped, for ${reason}: ${name}`);
  describe.skipIf(reason !== undefined)(name, tests);
}
