/** How to read the cells. */
export function Legend() {
  return (
    <ul class="legend small muted" aria-label="Legend">
      <li>
        <span class="legend-scale" aria-hidden="true">
          {[0, 0.25, 0.5, 0.75, 1].map((heat) => (
            <span key={heat} class="cell" style={{ "--heat": heatShare(heat) }} />
          ))}
        </span>
        cold to hot
      </li>
      <li>
        <span class="cell cell-used" aria-hidden="true" style={{ "--heat": heatShare(1) }} />
        in use now
      </li>
      <li>
        <span class="cell cell-pinned" aria-hidden="true" style={{ "--heat": heatShare(0.5) }} />
        pinned
      </li>
      <li>
        <span class="cell cell-moving" aria-hidden="true" />
        on its way in or out
      </li>
      <li>
        <span class="cell cell-free" aria-hidden="true" />
        free slot
      </li>
    </ul>
  );
}

/** For the style: how much of the hot colour. */
export function heatShare(share: number): string {
  return `${Math.round(8 + share * 92)}%`;
}
