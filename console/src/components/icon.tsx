/** Strokes on a grid of 20, drawn for this page. */
const PATHS = {
  playground: "M4 5h12v8H9l-4 3v-3H4z",
  "fine-tunes": "M3 4c3 0 4 10 8 10h6M3 16h14M3 4v12",
  usage: "M4 16V9m4 7V4m4 12v-5m4 5V7",
  cluster: "M3 3h6v6H3zm8 0h6v6h-6zm-8 8h6v6H3zm8 0h6v6h-6z",
  play: "M6 4l10 6-10 6z",
  stop: "M5 5h10v10H5z",
  pause: "M6 4v12m8-12v12",
  plus: "M10 4v12m-6-6h12",
  close: "M5 5l10 10M15 5L5 15",
  copy: "M7 7h9v9H7zM4 13V4h9",
  code: "M7 6l-4 4 4 4m6-8l4 4-4 4",
  compare: "M3 4h6v12H3zm8 0h6v12h-6z",
  upload: "M10 13V4m-4 4l4-4 4 4M4 16h12",
  download: "M10 4v9m-4-4l4 4 4-4M4 16h12",
  retry: "M15 6a6 6 0 1 0 1 5m-1-8v3h-3",
  leave: "M8 4H4v12h4m4-9l3 3-3 3m3-3H8",
  back: "M12 4l-6 6 6 6",
  pin: "M8 3h4l-1 5 3 3H6l3-3zM10 11v6",
  warning: "M10 3l8 14H2zm0 5v4m0 2.5v.5",
  note: "M10 3a7 7 0 1 0 .01 0zM10 9v5m0-7.5v.5",
  check: "M4 10l4 4 8-8",
} as const;

export type IconName = keyof typeof PATHS;

/** Beside a text, or in a button with a label: never the only thing that tells what it means. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
