import { signal } from "@preact/signals";

/** Where the user is: everything behind the `#`, so that the router serves one page. */
export interface Route {
  readonly view: string;
  readonly rest: readonly string[];
  readonly query: URLSearchParams;
}

export const route = signal<Route>(routeOf(location.hash));

addEventListener("hashchange", () => {
  route.value = routeOf(location.hash);
});

/** The only way to make a link: its parts are data, never addresses. */
export function hrefTo(view: string, rest: readonly string[] = [], query: Readonly<Record<string, string>> = {}): string {
  const search = new URLSearchParams(query).toString();
  return `#/${[view, ...rest].map(encodeURIComponent).join("/")}${search === "" ? "" : `?${search}`}`;
}

export function goTo(...to: Parameters<typeof hrefTo>): void {
  location.hash = hrefTo(...to);
}

function routeOf(hash: string): Route {
  const [path = "", search = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [view = "", ...rest] = path.split("/").map(decoded);
  return { view, rest, query: new URLSearchParams(search) };
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // Somebody's half of an escape: no view is called like that.
  }
}
