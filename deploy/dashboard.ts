/** One panel of a dashboard. Four fit a row, or two wide ones. */
export interface Panel {
  readonly title: string;
  /** What one should see in it. */
  readonly description?: string;
  /** Of Grafana: `s`, `percentunit`, `bytes`, `short`, `reqps`, … */
  readonly unit: string;
  readonly kind?: "timeseries" | "stat";
  readonly wide?: boolean;
  /** Curves: what each is called, with `{{label}}`, and its PromQL. */
  readonly curves: readonly (readonly [legend: string, expr: string])[];
}

export interface Dashboard {
  /** Also the file's name and the page's address. */
  readonly name: string;
  readonly title: string;
  readonly rows: readonly { readonly title: string; readonly panels: readonly Panel[] }[];
}

const COLUMNS = 24;
const HEIGHT = 8;
const DATASOURCE = { type: "prometheus", uid: "$datasource" };

/** A dashboard as Grafana imports it. */
export function dashboardJson({ name, title, rows }: Dashboard): Record<string, unknown> {
  const panels: Record<string, unknown>[] = [];
  let y = 0;
  const place = (panel: Record<string, unknown>, x: number, w: number, h: number) =>
    panels.push({ id: panels.length + 1, ...panel, gridPos: { x, y, w, h } });
  for (const row of rows) {
    place({ type: "row", title: row.title, collapsed: false, panels: [] }, 0, COLUMNS, 1);
    y += 1;
    let x = 0;
    for (const panel of row.panels) {
      const width = panel.wide ? COLUMNS / 2 : COLUMNS / 4;
      if (x + width > COLUMNS) {
        x = 0;
        y += HEIGHT;
      }
      place(panelJson(panel), x, width, HEIGHT);
      x += width;
    }
    y += HEIGHT;
  }
  return {
    uid: `deltaplane-${name}`,
    title: `Deltaplane / ${title}`,
    tags: ["deltaplane"],
    schemaVersion: 39,
    version: 1,
    editable: false,
    refresh: "30s",
    time: { from: "now-3h", to: "now" },
    timezone: "utc",
    templating: { list: [{ name: "datasource", type: "datasource", query: "prometheus", label: "Prometheus" }] },
    links: [{ type: "dashboards", title: "Deltaplane", tags: ["deltaplane"], asDropdown: true, includeVars: true, keepTime: true }],
    panels,
  };
}

function panelJson(panel: Panel): Record<string, unknown> {
  return {
    type: panel.kind ?? "timeseries",
    title: panel.title,
    ...(panel.description === undefined ? {} : { description: panel.description }),
    datasource: DATASOURCE,
    fieldConfig: { defaults: { unit: panel.unit, ...(panel.unit === "percentunit" ? { min: 0, max: 1 } : { min: 0 }) }, overrides: [] },
    options:
      panel.kind === "stat"
        ? { reduceOptions: { calcs: ["lastNotNull"], values: false } }
        : { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
    targets: panel.curves.map(([legendFormat, expr], index) => ({
      refId: String.fromCharCode(65 + index),
      datasource: DATASOURCE,
      expr,
      legendFormat,
    })),
  };
}
