const POLL_MS = 100;

/** What a wait ends with at once: there is nothing left to wait for. */
export class Hopeless extends Error {}

/** Resolves when `done` says so; a `done` that throws has not happened yet, unless it is {@link Hopeless}. Rejects after `msMax` with what stood in the way. */
export async function waitUntil(what: string, msMax: number, done: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + msMax;
  let obstacle: unknown;
  for (;;) {
    try {
      if (await done()) return;
      obstacle = undefined;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      obstacle = error;
    }
    if (performance.now() > deadline) throw new Error(`waited ${msMax / 1000} s in vain for ${what}`, { cause: obstacle });
    await pause(POLL_MS);
  }
}

export function pause(waitMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, waitMs));
}
