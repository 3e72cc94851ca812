import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildImageRoot } from "./image-root.ts";
import { smokeTest } from "./image-smoke.ts";

/** `node test/deploy/rehearse-image.ts`: every line of the Dockerfile up to the image without accelerators, npm ci included, then a smoke test. */
const directory = mkdtempSync(join(tmpdir(), "deltaplane-image-"));
try {
  const image = buildImageRoot({ directory, target: "cpu", packages: "install" });
  console.log(`built, as user ${image.user}: ${image.entrypoint.join(" ")}`);
  const scratch = join(directory, "scratch");
  mkdirSync(scratch);
  const { text, exits, written } = await smokeTest(image, scratch);
  console.log(`answered ${JSON.stringify(text)}; exit codes: ${[...exits].map(([part, status]) => `${part} ${status}`).join(", ")}`);
  if (written.length > 0) throw new Error(`written outside of volumes: ${written.join(", ")}`);
  if ([...exits.values()].some((status) => status !== 0)) process.exitCode = 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
