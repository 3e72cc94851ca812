import { existsSync, realpathSync } from "node:fs";
import path from "node:path";
import { chromiumPath } from "./chromium-installation.ts";

/** Where distributions put what belongs to the browser, beside the program itself. */
const PLACES = ["/usr/lib/chromium", "/usr/lib/chromium-browser", "/opt/google/chrome"];

/**
 * The environment of a process that is to see a software device where others see their GPU: browsers carry one, with the library that
 * finds it. Undefined where no browser is installed.
 */
export function softwareDevice(): { readonly VK_ICD_FILENAMES: string; readonly LD_LIBRARY_PATH: string } | undefined {
  const browser = chromiumPath();
  const folders = browser === undefined ? PLACES : [path.dirname(realpathSync(browser)), ...PLACES];
  const folder = folders.find(
    (each) => existsSync(path.join(each, "vk_swiftshader_icd.json")) && existsSync(path.join(each, "libvulkan.so.1")),
  );
  return folder === undefined ? undefined : { VK_ICD_FILENAMES: path.join(folder, "vk_swiftshader_icd.json"), LD_LIBRARY_PATH: folder };
}
