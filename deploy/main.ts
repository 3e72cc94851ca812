import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { canRender, dashboardFiles, installFile } from "./generated-files.ts";

/** `node deploy/main.ts`: writes dashboards and install.yaml anew. A test compares them with their sources. */
const files = new Map(dashboardFiles());
if (canRender()) files.set(...installFile());
else console.error("install.yaml is left out: this needs a kubectl of 1.21 or newer");
for (const [path, text] of files) writeFileSync(join(import.meta.dirname, path), text);
