import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, isAbsolute, join } from "node:path";

/** A Vulkan driver, as its manifest names it: what WebGPU finds devices through on Linux. */
export interface VulkanDriver {
  readonly manifest: string;
  /** The library that the manifest names, without its folder. */
  readonly library: string;
  /** Why the loader won't take it; undefined when nothing is wrong to see. */
  readonly problem: string | undefined;
  /** Computes on the processor: for tests, not for speed. */
  readonly software: boolean;
}

/** Where the loader looks, unless it is told (Vulkan-Loader, LoaderDriverInterface.md). */
const FOLDERS = ["/usr/local/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/share/vulkan/icd.d"];
const SOFTWARE = /swiftshader|lvp|lavapipe/i;

/** The drivers that a process with this environment would be offered. */
export function vulkanDrivers(environment: NodeJS.ProcessEnv, folders: readonly string[] = FOLDERS): readonly VulkanDriver[] {
  const told = environment["VK_DRIVER_FILES"] ?? environment["VK_ICD_FILENAMES"];
  const manifests = told === undefined ? folders.flatMap(manifestsIn) : told.split(":").filter((path) => path !== "");
  return manifests.map(readManifest);
}

function manifestsIn(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .sort()
    .map((file) => join(folder, file));
}

function readManifest(manifest: string): VulkanDriver {
  const driver = (path: string, problem?: string): VulkanDriver => ({
    ...{ manifest, library: basename(path), problem, software: SOFTWARE.test(path) },
  });
  if (!existsSync(manifest)) return driver(manifest, "there is no such file");
  const path = libraryPath(readFileSync(manifest, "utf8"));
  if (path === undefined) return driver(manifest, "it names no library");
  // A bare name is the linker's to find; any other is relative to the manifest.
  if (!path.includes("/")) return driver(path);
  const library = isAbsolute(path) ? path : join(dirname(manifest), path);
  return existsSync(library) ? driver(path) : driver(path, `${library} is not there`);
}

function libraryPath(manifest: string): string | undefined {
  try {
    const { ICD } = JSON.parse(manifest) as { ICD?: { library_path?: unknown } };
    return typeof ICD?.library_path === "string" ? ICD.library_path : undefined;
  } catch {
    return undefined; // No JSON: whoever asks is told that it names nothing.
  }
}
