import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { isFault } from "#kernel";
import type { Provider } from "#node-agent";
import { formatBytes } from "../output.ts";
import { deviceName, placeEngines, type Surroundings } from "./engine-place.ts";
import type { WebgpuTrial } from "./webgpu-trial.ts";

/** One line of `deltaplane doctor`. */
export interface Finding {
  readonly check: string;
  readonly ok: boolean;
  /** What there is; where something is missing, also how to get it. */
  readonly found: string;
}

/** What engines could compute with here. What is missing is a problem only for the provider that is `wanted`. */
export function deviceFindings(wanted: Provider, around: Surroundings, trial: WebgpuTrial): readonly Finding[] {
  return [graphicsCard(around), vulkan(around), webgpu(wanted, around, trial), cuda(wanted)];
}

function graphicsCard({ platform, cards }: Surroundings): Finding {
  const check = "graphics card";
  if (platform !== "linux") return { check, ok: true, found: "not looked for on this system" };
  const found = cards.map(({ name, driver, memoryBytes }) =>
    [name, driver, memoryBytes ? formatBytes(memoryBytes) : "memory unknown"].join(", "),
  );
  return { check, ok: true, found: found.join("; ") || "none with a driver" };
}

function vulkan({ platform, drivers, cards }: Surroundings): Finding {
  const check = "Vulkan drivers";
  if (platform !== "linux") return { check, ok: true, found: "not needed on this system" };
  const found = drivers.map(({ library, manifest, problem, software }) =>
    problem === undefined ? `${library}${software ? " (on the processor)" : ""}` : `${manifest}: ${problem}`,
  );
  if (found.length > 0) return { check, ok: drivers.some(({ problem }) => problem === undefined), found: found.join("; ") };
  if (cards.length === 0) return { check, ok: true, found: "none" };
  return { check, ok: true, found: `none for the card: install its vendor's, or point VK_DRIVER_FILES to the manifest; ${IN_A_CONTAINER}` };
}

/** NVIDIA's container toolkit mounts the Vulkan driver only when asked for graphics. */
const IN_A_CONTAINER = "in a container set NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility";

function webgpu(wanted: Provider, around: Surroundings, { works, complaint }: WebgpuTrial): Finding {
  const check = "--ep webgpu";
  if (works) return { check, ok: true, found: `computes on ${deviceName(around)}; ${roomFor(around)}` };
  return { check, ok: wanted !== "webgpu", found: `does not work here: ${complaint}; ${remedy(around, complaint)}` };
}

function roomFor(around: Surroundings): string {
  try {
    const { room } = placeEngines("webgpu", undefined, around);
    return `${formatBytes(room.sizeBytes)} for engines`;
  } catch (error) {
    if (isFault(error, "parameter_invalid")) return "say --memory-mib, its memory is not known";
    throw error;
  }
}

function remedy({ platform, drivers, cards }: Surroundings, complaint: string): string {
  if (platform !== "linux") return "a newer system or driver may help";
  if (complaint.includes("libvulkan")) return "install the Vulkan loader (Debian: libvulkan1) and the device's driver";
  if (drivers.length === 0 && cards.length === 0) return "without a device use --ep cpu";
  if (drivers.length === 0) return `install the device's Vulkan driver, or set VK_DRIVER_FILES; ${IN_A_CONTAINER}`;
  return "the drivers above are there, but offer no device that will do";
}

const CUDA_LIBRARY = "libonnxruntime_providers_cuda.so";

function cuda(wanted: Provider): Finding {
  const runtime = dirname(createRequire(import.meta.url).resolve("onnxruntime-node/package.json"));
  const library = join(runtime, "bin/napi-v6", process.platform, process.arch, CUDA_LIBRARY);
  const packaged = existsSync(library) ? "its library is there, but the provider is not offered" : "not in the package, and not offered";
  return { check: "--ep cuda", ok: wanted !== "cuda", found: `${packaged}: NVIDIA's devices compute with --ep webgpu` };
}
