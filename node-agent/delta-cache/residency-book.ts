import { type DeltaDigest, type Residency, type Tier, unreachable } from "#kernel";
import type { DeltaReference } from "#model";
import type { DeltaFacts, TierEvent } from "./contract.ts";

/** What changed since the last look. */
export interface ResidencyChanges {
  readonly changed: ReadonlyMap<DeltaDigest, Residency>;
  readonly removed: readonly DeltaDigest[];
}

/** One reader's place in the changes. What it did not read yet is merged, so it needs no bound of its own. */
export interface ResidencyFeed {
  take(): ResidencyChanges;
  /** Whether something waits to be taken. */
  readonly pending: boolean;
  close(): void;
}

interface Line {
  readonly reference: DeltaReference;
  readonly states: Map<Tier, Residency["state"]>;
  references: number;
  pinned: boolean;
  facts: DeltaFacts;
}

const FAST_TO_SLOW: readonly Tier[] = ["slot", "ram", "disk"];
/** Until the delta was read once. */
const NOTHING_KNOWN: DeltaFacts = { rank: 0, sizeBytes: 0 };

/** What the tiers told, as one line per delta: the fastest tier where it is ready, else where it loads, else where it leaves. */
export class ResidencyBook {
  readonly #lines = new Map<DeltaDigest, Line>();
  readonly #feeds = new Set<Set<DeltaDigest>>();
  readonly #onChange = new Set<() => void>();

  observe(event: TierEvent): void {
    const { digest } = event.reference;
    const line = this.#line(event.reference);
    switch (event.kind) {
      case "hit":
      case "miss":
        break;
      case "loading":
      case "evicting":
        line.states.set(event.tier, event.kind);
        break;
      case "ready":
        line.states.set(event.tier, "ready");
        if (event.tier === "disk" && line.facts === NOTHING_KNOWN) line.facts = { rank: 0, sizeBytes: event.size };
        break;
      case "references":
        if (event.tier === "slot") line.references = event.references;
        break;
      case "failed":
      case "gone":
      case "stuck":
        line.states.delete(event.tier);
        if (event.tier === "slot") line.references = 0;
        break;
      default:
        unreachable(event);
    }
    if (line.states.size === 0) this.#lines.delete(digest);
    if (event.kind !== "hit" && event.kind !== "miss") this.#touch(digest);
  }

  learn(digest: DeltaDigest, facts: DeltaFacts): void {
    const line = this.#lines.get(digest);
    if (line) line.facts = { rank: facts.rank, sizeBytes: facts.sizeBytes };
  }

  setPinned(digest: DeltaDigest, pinned: boolean): void {
    const line = this.#lines.get(digest);
    if (!line || line.pinned === pinned) return;
    line.pinned = pinned;
    this.#touch(digest);
  }

  all(): ReadonlyMap<DeltaDigest, Residency> {
    return new Map([...this.#lines].map(([digest, line]) => [digest, residencyOf(line)]));
  }

  /** Calls `onChange` with every change; what changed stands in the feed. */
  follow(onChange: () => void): ResidencyFeed {
    const dirty = new Set<DeltaDigest>();
    this.#feeds.add(dirty);
    this.#onChange.add(onChange);
    return {
      take: () => {
        const changed = new Map<DeltaDigest, Residency>();
        const removed: DeltaDigest[] = [];
        for (const digest of dirty) {
          const line = this.#lines.get(digest);
          if (line) changed.set(digest, residencyOf(line));
          else removed.push(digest);
        }
        dirty.clear();
        return { changed, removed };
      },
      get pending() {
        return dirty.size > 0;
      },
      close: () => {
        this.#feeds.delete(dirty);
        this.#onChange.delete(onChange);
      },
    };
  }

  #line(reference: DeltaReference): Line {
    const known = this.#lines.get(reference.digest);
    if (known) return known;
    const line: Line = { reference, states: new Map(), references: 0, pinned: false, facts: NOTHING_KNOWN };
    this.#lines.set(reference.digest, line);
    return line;
  }

  #touch(digest: DeltaDigest): void {
    for (const dirty of this.#feeds) dirty.add(digest);
    for (const onChange of this.#onChange) onChange();
  }
}

function residencyOf(line: Line): Residency {
  const [tier, state] = fastest(line);
  const { tenantId, baseDigest } = line.reference;
  return { tier, state, tenantId, baseDigest, ...line.facts, references: line.references, pinned: line.pinned };
}

function fastest(line: Line): readonly [Tier, Residency["state"]] {
  for (const state of ["ready", "loading", "evicting"] as const) {
    const tier = FAST_TO_SLOW.find((name) => line.states.get(name) === state);
    if (tier) return [tier, state];
  }
  return unreachable(line as never); // A line without a state is removed at once.
}
