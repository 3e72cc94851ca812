import { every, type Millis, SECOND, toFault } from "#kernel";
import type { ModelDeps } from "./delta-publication.ts";

/** A base whose last node goes right after its first report is a base that nobody could have asked for yet. */
const ROUND_MS: Millis = 5 * SECOND;

/**
 * Remembers bases that may have no node, from what their nodes say while there are some: whoever asks for one later must find
 * its name. Such a base stays its own nodes' business, it is not loaded on others. Runs until the router stops.
 */
export function rememberWokenBases(deps: ModelDeps, wakes: (baseName: string) => boolean): Promise<void> {
  return every(deps.clock, ROUND_MS, deps.stopping, async () => {
    for (const base of deps.names.bases.list()) {
      if (!wakes(base.name) || deps.catalog.view.get("base", base.name)) continue;
      try {
        await deps.catalog.create("base", base.name, { ...base, createdAt: deps.clock.now(), ownNodes: true });
      } catch (error) {
        deps.log.warn({ base: base.name, err: toFault(error) }, "a base that may have no node could not be recorded; it is tried again");
      }
    }
  });
}
