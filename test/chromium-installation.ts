import { existsSync } from "node:fs";
import { installWithApt } from "./apt-installation.ts";

/** Where distributions put it. */
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome-stable", "/usr/bin/google-chrome"];

/** The browser to use: the one that `CHROMIUM` names, or the system's. */
export function chromiumPath(): string | undefined {
  return [process.env["CHROMIUM"] ?? "", ...PLACES].find((path) => path !== "" && existsSync(path));
}

/** For tests of the console. Without a font a page has no size. */
export function installChromium(): string | undefined {
  return installWithApt("chromium", ["chromium", "fonts-liberation"], () => chromiumPath() !== undefined);
}
