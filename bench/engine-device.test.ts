import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { softwareDevice } from "../test/software-device.ts";
import type { BenchReport } from "./report.ts";

const device = softwareDevice();

test.skipIf(device === undefined)(
  "a table of a device has every field, and the device's own rates (skipped without a software device)",
  { timeout: 240_000, retry: 1 },
  async () => {
    const cache = await mkdtemp(join(tmpdir(), "bench-device-"));
    const program = join(import.meta.dirname, "engine-device-process.ts");
    const { stdout } = await promisify(execFile)(process.execPath, [program, cache], {
      env: { ...process.env, ...device },
      ...{ timeout: 100_000, killSignal: "SIGKILL" },
    });
    await rm(cache, { recursive: true });
    const { machine, rows, summary } = JSON.parse(stdout.trim().split("\n").at(-1)!) as BenchReport;
    expect(machine.device).toBe("libvk_swiftshader.so");
    expect(rows.map(({ rows, deltas }) => `${rows}x${deltas}`)).toEqual(["2x0", "2x1"]);
    for (const row of rows) for (const field of ["tokens/s", "of bandwidth", "of rate"]) expect(row[field], field).toBeGreaterThan(0);
    expect(summary).toMatchObject({
      device_gflop_per_s: expect.any(Number),
      device_gbyte_per_s: expect.any(Number),
      bus_down_mb: expect.any(Number),
    });
  },
);
