import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { softwareDevice } from "../software-device.ts";
import { CASES, type QuantisedReport } from "./quantised-report.ts";

/** From plain sums over weights that quantising leaves as they are. Measured: 4e-6. */
const TOLERANCE = 1e-3;
const device = softwareDevice();

describe.skipIf(!device)("quantised weights on a software device (skipped without chromium, which carries it)", () => {
  let reports: readonly QuantisedReport[];

  beforeAll(async () => {
    const script = path.join(import.meta.dirname, "device-quantised-process.ts");
    const { stdout } = await promisify(execFile)(process.execPath, [script], { env: { ...process.env, ...device }, timeout: 120_000 });
    reports = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as QuantisedReport);
  }, 120_000);

  test.each(CASES)("%s in %s: rows of the base and of two deltas, as prompts and token by token", (name, weights) => {
    const { distances, ...report } = reports.find((each) => each.name === name)!;
    expect(report.weights).toBe(weights);
    expect(distances).toHaveLength(6);
    for (const distance of distances) expect(distance).toBeLessThan(TOLERANCE);
  });

  test.each(CASES)("%s in %s: takes no more than was foreseen, which is less than in float32", (name) => {
    const { weightBytes, foreseenBytes, foreseenFloat32Bytes } = reports.find((each) => each.name === name)!;
    expect(weightBytes).toBeLessThanOrEqual(foreseenBytes);
    expect(weightBytes).toBeGreaterThan(foreseenBytes / 1.1);
    expect(foreseenBytes).toBeLessThan(0.6 * foreseenFloat32Bytes);
  });
});
