/** One selection of series: a metric and the labels that are asked about. */
export interface Selector {
  readonly metric: string;
  readonly labels: readonly string[];
}

const WORDS = new Set(["and", "or", "unless", "bool", "offset", "inf", "nan"]);
const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g;

/** The series that a PromQL expression reads. */
export function selectors(expr: string): readonly Selector[] {
  const bare = expr
    .replace(/"[^"]*"/g, '""')
    .replace(GROUPING, "")
    .replace(/\[[^\]]*\]/g, "");
  const found: Selector[] = [];
  for (const [, metric, call, matchers] of bare.matchAll(/(?<![\w:.])([a-zA-Z_:][\w:]*)\s*(\()?(?:\{([^}]*)\})?/g)) {
    if (call !== undefined || WORDS.has(metric!.toLowerCase())) continue;
    found.push({ metric: metric!, labels: [...(matchers ?? "").matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label!) });
  }
  return found;
}
