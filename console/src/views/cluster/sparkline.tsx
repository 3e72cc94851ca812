const WIDTH = 120;
const HEIGHT = 28;
const SAMPLES = 60;

/** How something went in the last minute; the number beside it says where it is now. */
export function Sparkline({ values }: { readonly values: readonly number[] }) {
  const most = Math.max(1, ...values);
  const step = WIDTH / (SAMPLES - 1);
  const first = SAMPLES - values.length;
  const points = values.map(
    (value, index) => `${((first + index) * step).toFixed(1)},${(HEIGHT - 2 - (value / most) * (HEIGHT - 4)).toFixed(1)}`,
  );
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true" focusable="false">
      <polyline points={points.join(" ")} />
    </svg>
  );
}
