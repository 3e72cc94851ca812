import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GIB, MIB } from "#kernel";
import { softwareDevice } from "../../test/software-device.ts";
import { deviceFindings } from "./device-findings.ts";
import { placeEngines, type Surroundings } from "./engine-place.ts";
import { parseNvidiaTable } from "./graphics-cards.ts";
import { vulkanDrivers } from "./vulkan-drivers.ts";
import { complaintIn, tryWebgpu, type WebgpuTrial } from "./webgpu-trial.ts";

const MEMORY = { sizeBytes: 16 * GIB, source: "this machine" };
const NOWHERE: Surroundings = { platform: "linux", memory: MEMORY, drivers: [], cards: [] };
const L4 = { name: "NVIDIA L4", driver: "NVIDIA 550.90", memoryBytes: 20 * GIB };
const NVIDIA_ICD = { manifest: "/etc/vulkan/icd.d/nvidia_icd.json", library: "libGLX_nvidia.so.0", problem: undefined, software: false };
const SWIFTSHADER = { manifest: "/x/vk_swiftshader_icd.json", library: "libvk_swiftshader.so", problem: undefined, software: true };
const WORKS: WebgpuTrial = { works: true, complaint: "" };
const NO_DEVICE: WebgpuTrial = { works: false, complaint: "nothing is offered" };

describe("Vulkan drivers", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "icd-"));
    const icd = (library_path: string) => JSON.stringify({ file_format_version: "1.0.0", ICD: { library_path } });
    writeFileSync(join(folder, "nvidia_icd.json"), icd("libGLX_nvidia.so.0"));
    writeFileSync(join(folder, "swiftshader_icd.json"), icd("./libvk_swiftshader.so"));
    writeFileSync(join(folder, "torn.json"), "{");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test("are what manifests name; what the loader won't take says why", () => {
    expect(
      vulkanDrivers({}, [join(folder, "absent"), folder]).map(({ library, problem, software }) => [library, problem, software]),
    ).toEqual([
      ["libGLX_nvidia.so.0", undefined, false],
      ["libvk_swiftshader.so", `${folder}/libvk_swiftshader.so is not there`, true],
      ["torn.json", "it names no library", false],
    ]);
  });

  test("are only those that the environment names, where it names some", () => {
    const one = join(folder, "nvidia_icd.json");
    expect(vulkanDrivers({ VK_ICD_FILENAMES: `${one}:/absent.json` }, [folder])).toMatchObject([
      { manifest: one, problem: undefined },
      { manifest: "/absent.json", problem: "there is no such file" },
    ]);
  });
});

test("NVIDIA's tool tells a card per line, also one that shares the machine's memory", () => {
  const lines = ["NVIDIA H200, 570.12, 143771", "NVIDIA GB10, 580.1, [N/A]", ""];
  expect(parseNvidiaTable(lines)).toEqual([
    { name: "NVIDIA H200", driver: "NVIDIA 570.12", memoryBytes: 143_771 * MIB },
    { name: "NVIDIA GB10", driver: "NVIDIA 580.1", memoryBytes: undefined },
  ]);
});

describe("where engines compute", () => {
  test("on the processor, with the machine's or the container's memory", () => {
    expect(placeEngines("cpu", undefined, NOWHERE)).toEqual({ device: "cpu", room: MEMORY });
  });

  test("on a card, with what its driver tells, less some for the driver", () => {
    const { device, room } = placeEngines("webgpu", undefined, { ...NOWHERE, cards: [L4], drivers: [NVIDIA_ICD] });
    expect(device).toBe("NVIDIA L4 (NVIDIA 550.90)");
    expect(room.sizeBytes).toBe(19 * GIB);
  });

  test("on a software device, also where there is a card that it hides", () => {
    const { device, room } = placeEngines("webgpu", undefined, { ...NOWHERE, cards: [L4], drivers: [SWIFTSHADER] });
    expect([device, room.sizeBytes]).toEqual(["libvk_swiftshader.so", 8 * GIB]);
  });

  test("with what was said, whatever is known; where nothing is known, it has to be said", () => {
    const around = { ...NOWHERE, drivers: [{ ...NVIDIA_ICD, library: "libvulkan_intel.so" }] };
    expect(placeEngines("webgpu", 3 * GIB, around).room).toEqual({ sizeBytes: 3 * GIB, source: "--memory-mib" });
    expect(() => placeEngines("webgpu", undefined, around)).toThrow(
      expect.objectContaining({ reason: "parameter_invalid", detail: { field: "memory-mib" } }),
    );
  });

  test("nowhere without a driver", () => {
    expect(() => placeEngines("webgpu", undefined, NOWHERE)).toThrow(/no Vulkan driver here; `deltaplane doctor` tells/);
  });
});

describe("doctor", () => {
  const found = (around: Surroundings, trial: WebgpuTrial, wanted: "cpu" | "webgpu" | "cuda" = "cpu") =>
    Object.fromEntries(deviceFindings(wanted, around, trial).map(({ check, ok, found }) => [check, `${ok ? "ok" : "PROBLEM"}: ${found}`]));

  test("without any device: nothing is wrong, unless one is wanted", () => {
    expect(found(NOWHERE, NO_DEVICE)["--ep webgpu"]).toMatch(/^ok: .*nothing is offered; without a device use --ep cpu$/);
    expect(found(NOWHERE, NO_DEVICE, "webgpu")["--ep webgpu"]).toMatch(/^PROBLEM/);
    expect(found(NOWHERE, NO_DEVICE, "cuda")["--ep cuda"]).toMatch(/^PROBLEM: not in the package.*--ep webgpu$/);
  });

  test("with a card and no Vulkan driver: says which driver, and what containers need", () => {
    const lines = found({ ...NOWHERE, cards: [L4] }, NO_DEVICE, "webgpu");
    expect(lines["graphics card"]).toBe("ok: NVIDIA L4, NVIDIA 550.90, 20.0 GiB");
    expect(lines["Vulkan drivers"]).toContain("VK_DRIVER_FILES");
    expect(lines["--ep webgpu"]).toContain("NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility");
  });

  test("without the loader: says where it comes from", () => {
    const complaint = complaintIn("Warning: Couldn't load Vulkan: libvulkan.so.1: cannot open shared object file\n    at operator()");
    expect(found(NOWHERE, { works: false, complaint: complaint! })["--ep webgpu"]).toContain("Debian: libvulkan1");
  });

  test("with a device that works: its name, and the room for engines", () => {
    const around = { ...NOWHERE, cards: [L4], drivers: [NVIDIA_ICD] };
    expect(found(around, WORKS, "webgpu")["--ep webgpu"]).toBe("ok: computes on NVIDIA L4 (NVIDIA 550.90); 19.0 GiB for engines");
  });
});

const device = softwareDevice();

test("a trial where there is no device says why, and ends nobody", { timeout: 60_000 }, async () => {
  const trial = await tryWebgpu({ ...process.env, LD_LIBRARY_PATH: "", VK_ICD_FILENAMES: "/absent.json" });
  expect(trial).toMatchObject({ works: false, complaint: expect.stringMatching(/\w+/) });
});

test.skipIf(device === undefined)("a trial on the software device works (skipped without one)", { timeout: 60_000 }, async () => {
  expect(await tryWebgpu({ ...process.env, ...device })).toEqual(WORKS);
});
