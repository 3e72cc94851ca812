import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { contextFiles, parseDockerfile } from "./dockerfile.ts";
import { buildImageRoot } from "./image-root.ts";
import { smokeTest } from "./image-smoke.ts";
import { DEPLOY } from "./manifests.ts";

const stages = parseDockerfile(readFileSync(join(DEPLOY, "Dockerfile"), "utf8"));
const runtimes = stages.filter(({ name }) => name === "cpu" || name === "gpu-nvidia");
const manifest = JSON.parse(readFileSync(join(DEPLOY, "../package.json"), "utf8")) as {
  version: string;
  dependencies: Record<string, string>;
};

describe("the Dockerfile", () => {
  it("starts from images that cannot change", () => {
    for (const { image } of stages) expect(image).toMatch(/^[a-z/]+:[\w.-]+@sha256:[0-9a-f]{64}$/);
  });

  it("runs the Node that the project is tested with", () => {
    expect(stages[0]!.image).toContain(`node:${manifest.dependencies["node"]}-`);
  });

  it("asks for the accelerator's Vulkan driver, and has the loader that finds it", () => {
    const { steps } = stages.find(({ name }) => name === "gpu-nvidia")!;
    expect(steps.find(({ word }) => word === "ENV")!.text).toContain("NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility");
    expect(steps.find(({ word }) => word === "RUN")!.text).toMatch(/--no-install-recommends .*\blibvulkan1\b/);
  });

  it("ends without root, without install scripts, and with what an engine builds by default: the image without accelerators", () => {
    for (const { steps } of runtimes) expect(steps.find(({ word }) => word === "USER")!.text).toBe("65532:65532");
    const installs = stages.flatMap(({ steps }) => steps).filter(({ text }) => /\bnpm (ci|install)\b/.test(text));
    expect(installs.map(({ text }) => text)).toEqual([expect.stringContaining("npm ci --omit=dev --ignore-scripts")]);
    expect(stages.at(-1)!.name).toBe("cpu");
  });

  it("fetches nothing but locked packages and Debian's", () => {
    const fetched = stages.flatMap(({ steps }) => steps).filter(({ word, text }) => word === "ADD" || /\b(curl|wget)\b/.test(text));
    expect(fetched).toEqual([]);
  });
});

describe("the image's files", () => {
  const files = contextFiles(join(DEPLOY, ".."), readFileSync(join(DEPLOY, "Dockerfile.dockerignore"), "utf8"));

  it("are what runs, and nothing that is secret, built, or for tests", () => {
    expect(files).toContain("cli/main.ts");
    expect(files).toContain("models/demo-base/config.json");
    expect(
      files.filter((file) => /\.test\.ts$|(^|\/)(node_modules|testing|test|\.git|\.deltaplane|\.env)(\/|$)|key$|\.npmrc$/.test(file)),
    ).toEqual([]);
  });
});

describe("the image without an engine", () => {
  const directory = mkdtempSync(join(tmpdir(), "deltaplane-image-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it("starts all parts with install.yaml's arguments from nothing but its files, answers, writes to volumes only, and ends with 0", async () => {
    const image = buildImageRoot({ directory: join(directory), target: "cpu", packages: "link" });
    const scratch = join(directory, "scratch");
    mkdirSync(scratch);
    const smoke = await smokeTest(image, scratch);
    expect(smoke.text).not.toBe("");
    expect(smoke.written).toEqual([]);
    expect(Object.fromEntries(smoke.exits)).toEqual({ router: 0, scheduler: 0, "node-agent": 0, trainer: 0 });
    expect(smoke.metrics.get("router")).toContain("deltaplane_requests_total");
  }, 240_000);
});
