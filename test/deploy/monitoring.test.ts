import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { collectDefaultMetrics, Registry } from "prom-client";
import { afterAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { promtoolPath } from "../promtool-installation.ts";
import { CANNOT_RENDER, DEPLOY, type Manifest, renderings } from "./manifests.ts";
import { selectors } from "./promql.ts";

const DOCS = join(DEPLOY, "../docs");
const MONITORING = join(DEPLOY, "components/monitoring");
const { spec } = parse(readFileSync(join(MONITORING, "rules.yaml"), "utf8")) as Manifest;
const rules: readonly Manifest[] = spec.groups.flatMap((group: Manifest) => group.rules);
const alerts = rules.filter(({ alert }) => alert !== undefined);
const recorded = new Set(rules.flatMap(({ record }) => record ?? []));
const dashboards: readonly Manifest[] = readdirSync(join(MONITORING, "dashboards")).map((file) =>
  JSON.parse(readFileSync(join(MONITORING, "dashboards", file), "utf8")),
);
const panels = dashboards.flatMap((dashboard) => dashboard.panels.map((panel: Manifest) => ({ ...panel, dashboard: dashboard.title })));

/** Prometheus' own, and what scraping adds to each series. */
const BUILT_IN = new Set(["up"]);
const TARGET_LABELS = ["job", "pod", "namespace", "instance", "container", "le"];

/** Name → labels, as docs/metrics.md tells, which test/rules compares with the code, and the runtime's own. */
async function exportedMetrics(): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>();
  for (const row of readFileSync(join(DOCS, "metrics.md"), "utf8").split("\n")) {
    const cells = row.split("|").map((cell) => cell.trim());
    const name = /^`((?:deltaplane_|vllm:)\w+)`$/.exec(cells[1] ?? "")?.[1];
    if (name === undefined || found.has(name)) continue;
    const labels = name.startsWith("vllm:")
      ? ["model_name", "finished_reason"]
      : (cells[2] ?? "").split(/,\s*/).filter((label) => /^\w+$/.test(label));
    found.set(name, labels);
  }
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const { name, aggregator: _, ...metric } of await registry.getMetricsAsJSON()) {
    found.set(name, [...new Set(metric.values.flatMap(({ labels }) => Object.keys(labels)))]);
  }
  return found;
}

const exported = await exportedMetrics();

/** What an expression reads that nobody exports. */
function unknownIn(expr: string): readonly string[] {
  return selectors(expr).flatMap(({ metric, labels }) => {
    if (BUILT_IN.has(metric) || recorded.has(metric)) return [];
    const own = exported.get(metric) ?? exported.get(metric.replace(/_(bucket|count|sum)$/, ""));
    if (own === undefined) return [metric];
    return labels.filter((label) => !own.includes(label) && !TARGET_LABELS.includes(label)).map((label) => `${metric}{${label}}`);
  });
}

describe("what is read is exported", () => {
  it.each(rules.map((rule) => [rule.record ?? `${rule.alert} ${rule.labels.long ?? ""}`, rule.expr]))("by rule %s", (_, expr) => {
    expect(selectors(expr)).not.toEqual([]);
    expect(unknownIn(expr)).toEqual([]);
  });

  it.each(panels.filter(({ type }) => type !== "row").map((panel) => [`${panel.dashboard}: ${panel.title}`, panel]))(
    "by %s",
    (_, panel) => {
      for (const { expr } of panel.targets) expect(unknownIn(expr), expr).toEqual([]);
    },
  );

  it.skipIf(CANNOT_RENDER !== undefined)("by what scales", () => {
    const objects = renderings()
      .get("prod")!
      .filter(({ kind }) => kind === "ScaledObject");
    expect(objects.length).toBeGreaterThan(0);
    for (const { spec } of objects) {
      for (const { metadata } of spec.triggers) {
        expect(unknownIn(metadata.query), metadata.query).toEqual([]);
        expect(metadata.query).not.toContain("BASE");
      }
    }
  });

  it("finds a name and a label that nobody exports", () => {
    expect(unknownIn('sum by (x) (rate(deltaplane_nothing_total{a="b"}[5m])) / up')).toEqual(["deltaplane_nothing_total"]);
    expect(unknownIn('rate(deltaplane_requests_total{tenant="acme"}[5m])')).toEqual(["deltaplane_requests_total{tenant}"]);
  });
});

describe("alerts", () => {
  const pages = readdirSync(join(DOCS, "runbooks")).filter((file) => file !== "README.md");

  it("have a page each, and no page is left over", () => {
    expect([...new Set(alerts.map(({ alert }) => `${alert}.md`))].toSorted()).toEqual(pages.toSorted());
  });

  it.each(alerts.map((rule) => [`${rule.alert} ${rule.labels.long ?? ""}`, rule]))(
    "%s says what, how bad, and where to read on",
    (_, rule) => {
      expect(rule.labels.severity).toMatch(/^(critical|warning|info)$/);
      expect(rule.annotations).toEqual({
        summary: expect.stringMatching(/\.$/),
        description: expect.any(String),
        runbook_url: `docs/runbooks/${rule.alert}.md`,
      });
      expect(existsSync(join(DOCS, "..", rule.annotations.runbook_url))).toBe(true);
    },
  );

  it.each(pages)("%s says what it means, where to look and what to do", (page) => {
    const text = readFileSync(join(DOCS, "runbooks", page), "utf8");
    expect(text).toMatch(/^# /);
    for (const title of ["## What it means", "## Look at", "## Do"]) expect(text).toContain(title);
  });

  it("are all in the table of docs/operations.md", () => {
    const listed = readFileSync(join(DOCS, "operations.md"), "utf8").matchAll(/^\| \[(\w+)\]\(runbooks\/\1\.md\)/gm);
    expect([...listed].map(([, name]) => name).toSorted()).toEqual([...new Set(alerts.map(({ alert }) => alert))].toSorted());
  });

  it("burn budgets in pairs of windows", () => {
    const burns = alerts.filter(({ labels }) => labels.long !== undefined);
    expect(
      burns.filter(({ alert }) => alert === "DeltaplaneErrorBudgetBurn").map(({ labels }) => `${labels.long} ${labels.short}`),
    ).toEqual(["1h 5m", "6h 30m", "1d 2h", "3d 6h"]);
    for (const { expr, labels } of burns) {
      expect(selectors(expr).map(({ metric }) => metric.replace(/.*ratio_rate/, ""))).toEqual([labels.long, labels.short]);
    }
  });
});

describe("dashboards", () => {
  it.each(dashboards.map((dashboard) => [dashboard.title, dashboard]))("%s can be imported", (_, dashboard) => {
    expect(dashboard).toMatchObject({
      uid: expect.stringMatching(/^deltaplane-[a-z-]+$/),
      schemaVersion: expect.any(Number),
      tags: ["deltaplane"],
    });
    expect(dashboard.templating.list.map(({ name, type }: Manifest) => [name, type])).toEqual([["datasource", "datasource"]]);
    const ids = dashboard.panels.map(({ id }: Manifest) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const cells = new Set<string>();
    for (const { type, title, gridPos, targets, datasource, fieldConfig } of dashboard.panels) {
      expect(title).toMatch(/\S/);
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(cells, `${title} lies on another panel`).not.toContain(`${x} ${y}`);
          cells.add(`${x} ${y}`);
        }
      }
      if (type === "row") continue;
      expect(datasource).toEqual({ type: "prometheus", uid: "$datasource" });
      expect(fieldConfig.defaults.unit).toMatch(/^\w+$/);
      expect(targets.map(({ refId }: Manifest) => refId)).toEqual([..."ABCDEFGH"].slice(0, targets.length));
    }
  });
});

const promtool = promtoolPath();
describe.skipIf(promtool === undefined)("promtool", () => {
  const folder = mkdtempSync(join(tmpdir(), "deltaplane-rules-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "rules.yaml");
  writeFileSync(file, stringify({ groups: spec.groups }));
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(promtool!, args, { encoding: "utf8", cwd: folder });
    return { status, said: `${stdout}${stderr}` };
  };

  it("accepts the rules", () => {
    const { status, said } = run("check", "rules", file);
    expect(status, said).toBe(0);
    expect(said).toContain(`${rules.length} rules found`);
  });

  it("sees alerts fire when they should, and only then", () => {
    const tests = join(folder, "tests.yaml");
    writeFileSync(tests, readFileSync(join(import.meta.dirname, "alerts.promtool.yaml"), "utf8"));
    const { status, said } = run("test", "rules", tests);
    expect(status, said).toBe(0);
  });

  it("can read every query of the dashboards", () => {
    const queries = panels.flatMap(({ targets }) => (targets ?? []).map(({ expr }: Manifest) => expr.replaceAll("$__rate_interval", "5m")));
    const query = join(folder, "queries.yaml");
    writeFileSync(
      query,
      stringify({ groups: [{ name: "queries", rules: queries.map((expr, index) => ({ record: `query:${index}`, expr })) }] }),
    );
    const { status, said } = run("check", "rules", query);
    expect(status, said).toBe(0);
  });
});
