import type { ComponentChildren } from "preact";

interface StatProps {
  readonly label: string;
  readonly value: ComponentChildren;
  /** What stands beside it in small: a unit, a share. */
  readonly note?: ComponentChildren;
}

/** Numbers that are read first. */
export function Stats({ children }: { readonly children: ComponentChildren }) {
  return <dl class="stats">{children}</dl>;
}

export function Stat({ label, value, note }: StatProps) {
  return (
    <div class="stat">
      <dt>{label}</dt>
      <dd class="num">
        {value}
        {note !== undefined && <span class="stat-note">{note}</span>}
      </dd>
    </div>
  );
}

interface MeterProps {
  readonly label: string;
  readonly value: number;
  readonly max: number;
  /** What it says in words: "3 of 8 slots". */
  readonly text: string;
  readonly kind?: "accent" | "good" | "warn" | "bad";
}

/** How full something is. */
export function Meter({ label, value, max, text, kind = "accent" }: MeterProps) {
  const share = max > 0 ? Math.min(1, value / max) : 0;
  return (
    // biome-ignore lint/a11y/useSemanticElements: browsers draw <meter> each in their own way
    <div class="meter" role="meter" aria-label={label} aria-valuenow={value} aria-valuemin={0} aria-valuemax={max} aria-valuetext={text}>
      <div class={`meter-fill meter-${kind}`} style={{ width: `${share * 100}%` }} />
    </div>
  );
}

/** The state of something, in a word. */
export function Badge({
  kind = "plain",
  children,
}: {
  readonly kind?: "plain" | "accent" | "good" | "warn" | "bad";
  readonly children: ComponentChildren;
}) {
  return <span class={`badge badge-${kind}`}>{children}</span>;
}
