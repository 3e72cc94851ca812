import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "deltaplane-simulate-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SMALL = ["--nodes", "2", "--deltas", "20", "--oversubscription", "2", "--seeds", "2", "--minutes", "1"];

function simulate(...args: string[]) {
  return spawnSync(process.execPath, [join(import.meta.dirname, "main.ts"), "simulate", ...args], { encoding: "utf8" });
}

test("simulate prints one object with the promised figures of each policy, and plots", () => {
  const plots = join(folder, "plots");
  const asked = ["--policy", "ours", "oracle", "--waits", "--size-for-slo", "0.9", "--plots", plots, "-o", "json"];
  const { status, stdout } = simulate(...SMALL, ...asked);
  expect(status).toBe(0);
  const { name, rows, summary } = JSON.parse(stdout);
  expect(name).toBe("simulate");
  expect(rows).toHaveLength(2);
  expect(rows[1]).toMatchObject({ policy: "oracle", "slowest 2 %: slot ms": "0.000 ±0.000", "prompt ms": expect.stringMatching(/ ±/) });
  for (const policy of ["ours", "oracle"]) {
    for (const figure of ["ttft_ms_p50", "ttft_ms_p99", "hit_share", "loads_per_s", "slo_share", "jain", "churn", "nodes_at_slo"]) {
      expect(summary[`${policy}.${figure}`], `${policy}.${figure}`).toEqual(expect.any(Number));
    }
  }
  expect(summary.speed_over_real_time).toBeGreaterThan(0);
  expect(readdirSync(plots)).toContain("ttft-ms-p99.svg");
  expect(readFileSync(join(plots, "ttft-ms-p99.svg"), "utf8")).toMatch(/^<svg .*ours.*<\/svg>\n$/s);
});

test("simulate reads any trace with the three columns", () => {
  const trace = join(folder, "trace.csv");
  const lines = Array.from({ length: 50 }, (_, index) => `2024-05-10 00:00:${String(index).padStart(2, "0")}.5,100,20`);
  writeFileSync(trace, ["TIMESTAMP,ContextTokens,GeneratedTokens", ...lines].join("\n"));
  const { status, stdout } = simulate(...SMALL, "--trace", trace, "--policy", "ours", "--faults");
  expect(status).toBe(0);
  expect(stdout).toContain("| ours");
});

test.each([
  [["--policy", "magic"], 2, "no policy magic; there are random, round-robin"],
  [["--trace", "nowhere.csv"], 4, "nowhere.csv"],
  [["--nodes", "1.5"], 2, "whole"],
])("simulate %j ends with %i and says why on stderr only", (args, code, complaint) => {
  const { status, stdout, stderr } = simulate(...args);
  expect([status, stdout]).toEqual([code, ""]);
  expect(stderr).toContain(complaint);
  expect(stderr).not.toContain("    at ");
});
