import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Bytes, MIB } from "#kernel";

/** An accelerator, as its driver tells without a library. */
export interface GraphicsCard {
  readonly name: string;
  readonly driver: string;
  /** Undefined where the driver does not tell. */
  readonly memoryBytes: Bytes | undefined;
}

/** Longer than the tool takes to wake a sleeping card. */
const TOOL_MS_MAX = 10_000;

/** Of NVIDIA by its own tool, or without it by what the kernel's driver says; of AMD by sysfs. Empty where there is none. */
export function graphicsCards(): readonly GraphicsCard[] {
  const nvidia = nvidiaByTool();
  return [...(nvidia.length > 0 ? nvidia : nvidiaByDriver()), ...amdByDriver()];
}

function nvidiaByTool(): readonly GraphicsCard[] {
  const query = ["--query-gpu=name,driver_version,memory.total", "--format=csv,noheader,nounits"];
  let lines: string[];
  try {
    lines = execFileSync("nvidia-smi", query, { encoding: "utf8", timeout: TOOL_MS_MAX, stdio: ["ignore", "pipe", "ignore"] }).split("\n");
  } catch {
    return []; // No such tool, or no card that it knows.
  }
  return parseNvidiaTable(lines);
}

/** `name, driver, MiB`, a card per line. */
export function parseNvidiaTable(lines: readonly string[]): readonly GraphicsCard[] {
  return lines.flatMap((line) => {
    const [name, version, memoryMib] = line.split(",").map((field) => field.trim());
    if (!name || !version) return [];
    const sizeMib = Number(memoryMib);
    return [{ name, driver: `NVIDIA ${version}`, memoryBytes: sizeMib > 0 ? sizeMib * MIB : undefined }];
  });
}

function nvidiaByDriver(root = "/proc/driver/nvidia"): readonly GraphicsCard[] {
  const gpus = join(root, "gpus");
  if (!existsSync(gpus)) return [];
  const version = /Kernel Module\s+(?:for \S+\s+)?([\d.]+)/.exec(read(join(root, "version")))?.[1] ?? "";
  return readdirSync(gpus).map((card) => ({
    name: /^Model:\s+(.+)$/m.exec(read(join(gpus, card, "information")))?.[1]?.trim() ?? "NVIDIA",
    driver: `NVIDIA ${version}`.trim(),
    memoryBytes: undefined,
  }));
}

function amdByDriver(root = "/sys/class/drm"): readonly GraphicsCard[] {
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .filter((card) => /^card\d+$/.test(card) && existsSync(join(root, card, "device/mem_info_vram_total")))
    .map((card) => {
      const memoryBytes = Number(read(join(root, card, "device/mem_info_vram_total")));
      return { name: read(join(root, card, "device/product_name")).trim() || "AMD", driver: "amdgpu", memoryBytes };
    });
}

function read(file: string): string {
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}
