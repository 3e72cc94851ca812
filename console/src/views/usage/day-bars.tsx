import { useSignal } from "@preact/signals";
import { count, day, shortCount } from "../../components/index.ts";
import { exactUsd, largestOf, shareOf } from "./money.ts";
import type { DayColumn, Measure } from "./usage-sums.ts";

interface DayBarsProps {
  readonly columns: readonly DayColumn[];
  readonly groups: readonly string[];
  readonly measure: Measure;
}

/**
 * Stacked columns, one a day. Drawn with boxes and not with the plot of the other views, which would need floating-point
 * numbers to stack. The day under the pointer is told in words below, and so is the last one when there is no pointer.
 */
export function DayBars({ columns, groups, measure }: DayBarsProps) {
  const pointed = useSignal<number | undefined>(undefined);
  const most = largestOf(columns.map(({ total }) => total));
  const shown = columns[pointed.value ?? columns.length - 1] ?? columns.at(-1)!;
  const text = (value: bigint) => (measure === "money" ? exactUsd(value) : count(Number(value)));
  const short = (value: bigint) => (measure === "money" ? exactUsd(value) : shortCount(Number(value)));
  return (
    <figure class="day-bars">
      <div class="day-plot">
        <span class="day-most small muted num" aria-hidden="true">
          {short(most)}
        </span>
        <div
          class="day-columns"
          role="img"
          aria-label={`${measure === "money" ? "Money" : "Tokens"} by day: at most ${text(most)}; every day is in the export`}
          onPointerLeave={() => {
            pointed.value = undefined;
          }}
        >
          {columns.map(({ day: date, parts, total }, index) => (
            <div
              key={date}
              class={`day-column${index === pointed.value ? " day-pointed" : ""}`}
              onPointerEnter={() => {
                pointed.value = index;
              }}
            >
              {total > 0n &&
                parts.map((part, place) =>
                  part > 0n ? (
                    <div key={groups[place]} class={`day-part swatch-${place + 1}`} style={{ height: `${shareOf(part, most) * 100}%` }} />
                  ) : null,
                )}
            </div>
          ))}
        </div>
        <div class="day-ends small muted" aria-hidden="true">
          <span>{dayName(columns[0]!.day)}</span>
          <span>{dayName(columns.at(-1)!.day)}</span>
        </div>
      </div>
      <figcaption class="day-told small">
        <strong class="num">
          {dayName(shown.day)}: {text(shown.total)}
        </strong>
        {groups.map((name, place) =>
          shown.parts[place]! > 0n ? (
            <span key={name} class="usage-name num">
              <span class={`swatch swatch-${place + 1}`} aria-hidden="true" />
              {name} {text(shown.parts[place]!)}
            </span>
          ) : null,
        )}
      </figcaption>
    </figure>
  );
}

function dayName(date: string): string {
  return day(Date.parse(`${date}T12:00:00Z`) / 1000);
}
