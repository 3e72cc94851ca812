/** How numbers are written, everywhere alike. In English, whatever the browser's language: so is the rest of the page. */

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const MOMENT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const SIZES = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** 12,345 */
export function count(value: number): string {
  return WHOLE.format(value);
}

/** 12.3K: where there is little room. */
export function shortCount(value: number): string {
  return SHORT.format(value);
}

/** Money is shown with as many digits as it needs: a call costs millionths. $12.34, $0.0042, $0.0000312 */
export function usd(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "$0.00";
  const digits = size >= 1 ? 2 : Math.min(9, 2 - Math.floor(Math.log10(size)));
  return `${value < 0 ? "−" : ""}$${size.toFixed(digits)}`;
}

/** 0.42 s, 3.1 s, 2 min 5 s, 3 h 20 min */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3_600)} h ${Math.round((seconds % 3_600) / 60)} min`;
}

export function bytes(value: number): string {
  let size = value;
  let unit = 0;
  for (; size >= 1024 && unit < SIZES.length - 1; unit++) size /= 1024;
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${SIZES[unit]}`;
}

/** 93.4 % */
export function percent(share: number, digits = 1): string {
  return `${(share * 100).toFixed(digits)} %`;
}

/** 23 Nov 2026; times of the API are in seconds. */
export function day(seconds: number): string {
  return DAY.format(seconds * 1_000);
}

/** 23 Nov, 10:05 */
export function moment(seconds: number): string {
  return MOMENT.format(seconds * 1_000);
}
