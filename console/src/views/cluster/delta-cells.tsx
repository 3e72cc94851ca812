import { hrefTo } from "../../routing/index.ts";
import { heatOf } from "./heat.ts";
import { heatShare } from "./legend.tsx";
import type { HeldDelta } from "./shapes.ts";

/** More free slots than these are told by their number. */
const FREE_SHOWN_MAX = 96;

interface DeltaCellsProps {
  readonly label: string;
  readonly deltas: readonly HeldDelta[];
  /** How many there are in all. */
  readonly count: number;
  /** Places that nobody has; undefined where there are no fixed ones. */
  readonly free?: number;
}

/**
 * A cell for each delta. For pointers: a tile of a hundred links is no way to go by keyboard, so they are left out of the tab
 * order, and the same deltas stand in the node's list, a button away.
 */
export function DeltaCells({ label, deltas, count, free = 0 }: DeltaCellsProps) {
  const hidden = count - deltas.length;
  const freeShown = Math.min(free, FREE_SHOWN_MAX);
  return (
    <ul class="cells" aria-label={label}>
      {deltas.map((delta) => (
        <li key={delta.digest}>
          <a
            class={cellClass(delta)}
            style={{ "--heat": heatShare(heatOf(delta.heat)) }}
            href={hrefTo("cluster", ["delta", delta.digest])}
            tabIndex={-1}
            title={told(delta)}
          >
            <span class="unseen">{told(delta)}</span>
          </a>
        </li>
      ))}
      {hidden > 0 && <li class="cells-more small muted num">+{hidden}</li>}
      {Array.from({ length: freeShown }, (_, place) => (
        <li key={place} class="cell cell-free" aria-hidden="true" />
      ))}
    </ul>
  );
}

function cellClass({ references, pinned, state }: HeldDelta): string {
  return ["cell", references > 0 && "cell-used", pinned && "cell-pinned", state !== "ready" && "cell-moving"]
    .filter((each) => each !== false)
    .join(" ");
}

export function told({ name, digest, references, heat, pinned, state, rank }: HeldDelta): string {
  return [
    name ?? digest.slice(0, 12),
    state === "ready" ? undefined : state,
    references > 0 ? `${references} in use` : undefined,
    heat > 0 ? `${heat} tokens/s` : "cold",
    `rank ${rank}`,
    pinned ? "pinned" : undefined,
  ]
    .filter((part) => part !== undefined)
    .join(" · ");
}
