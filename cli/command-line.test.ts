import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { Fault, type FaultReason } from "#kernel";
import { exitCodeOf } from "./exit-code.ts";
import { formatBytes, formatTime } from "./output.ts";

const folder = mkdtempSync(join(tmpdir(), "deltaplane-cli-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function deltaplane(...args: string[]) {
  const env = { ...process.env, DELTAPLANE_HOME: folder, DELTAPLANE_SERVER: undefined, DELTAPLANE_ADMIN_SERVER: undefined, NO_COLOR: "1" };
  return spawnSync(process.execPath, [join(import.meta.dirname, "main.ts"), ...args], { encoding: "utf8", env });
}

describe("exit codes", () => {
  test.each<[FaultReason, number]>([
    ["key_unknown", 3],
    ["scope_missing", 3],
    ["model_unknown", 4],
    ["queue_full", 5],
    ["budget_spent", 5],
    ["client_gone", 130],
    ["bug", 1],
    ["no_ready_node", 1],
    ["file_malformed", 1],
    ["parameter_invalid", 2],
    ["parameter_unsupported", 2],
    ["context_too_long", 2],
  ])("%s ends with %i", (reason, code) => {
    expect(exitCodeOf(new Fault(reason, "because"))).toBe(code);
  });

  test.each([
    [["no-such-command"], 2, "unknown command"],
    [["deltas", "push", "somewhere"], 2, "--base"],
    [["up", "--nodes", "none"], 2, "not a number"],
    [["usage", "--by", "colour"], 2, "none of tenant, model, key, day"],
    [["ps"], 1, "no cluster runs in this folder"],
    [["ps", "--server", "127.0.0.1:1"], 2, "--admin-server"],
    [["usage", "--admin-server", "127.0.0.1:1"], 2, "name the address with --server"],
    [["tenants", "set", "acme", "--max-tokens", "some"], 2, "neither a whole number nor none"],
    [["tenants", "set", "acme", "--budget-period", "week"], 2, "month, ever"],
    [["keys", "create", "--tenant", "acme", "--expires", "soon"], 2, "neither a date nor 90d, 12h"],
    [["projects", "add", "chatbot"], 2, "--tenant"],
    [["alias", "set", "acme/bot", "ft:one=1", "=90"], 2, "=90 is not DELTA or DELTA=WEIGHT"],
    [["bench", "no-such-bench"], 2, "no bench no-such-bench"],
    [["billing", "verify", "--state", "mysql://here"], 2, "--state must be one of"],
    [["ps", "--context", "nowhere"], 4, "contexts.json"],
  ])("deltaplane %j ends with %i and says why on stderr only", (args, code, complaint) => {
    const { status, stdout, stderr } = deltaplane(...args);
    expect([status, stdout]).toEqual([code, ""]);
    expect(stderr).toContain(complaint);
  });
});

test("help names every command of the interface, and ends with 0", () => {
  const { status, stdout } = deltaplane("--help");
  expect(status).toBe(0);
  for (const command of [
    "up",
    "bases",
    "deltas",
    "alias",
    "run",
    "ps",
    "usage",
    "tenants",
    "projects",
    "keys",
    "status",
    "doctor",
    "bench",
    "router",
    "scheduler",
    "node-agent",
  ]) {
    expect(stdout).toMatch(new RegExp(`^  ${command}\\b`, "m"));
  }
});

test("doctor says what it found, and without a cluster is content", () => {
  const { stdout } = deltaplane("doctor", "-o", "json");
  const findings = JSON.parse(stdout) as { check: string; ok: boolean; found: string }[];
  for (const check of ["Node 24", "onnxruntime-node", "tokenizers", "state folder", "cluster"]) {
    expect(findings).toContainEqual(expect.objectContaining({ check, ok: true }));
  }
  const { found } = findings.find(({ check }) => check === "memory beside bases")!;
  for (const term of ["the agent 256.0 MiB", "deltas in memory 1.0 GiB", "hand-over file 64.0 MiB", "its reader 64.0 MiB"])
    expect(found).toContain(term);
});

test("sizes and times are for people", () => {
  expect([0, 1023, 1024, 1_800_000, 5 * 2 ** 30].map(formatBytes)).toEqual(["0 B", "1023 B", "1.0 KiB", "1.7 MiB", "5.0 GiB"]);
  expect([formatTime(0), formatTime(Date.UTC(2026, 10, 23))]).toEqual(["-", "2026-11-23T00:00:00Z"]);
});
