import { signal } from "@preact/signals";

const preference = matchMedia("(prefers-color-scheme: dark)");

/** Whether the page is dark just now: for what is drawn, and not styled. */
export const dark = signal(preference.matches);

preference.addEventListener("change", () => {
  dark.value = preference.matches;
});
