import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Generates `proto/generated` from the `.proto` files with buf and ts-proto, after linting them.
 * With `--check` nothing is written: it fails when what is committed is not what would be generated.
 */
const here = import.meta.dirname;
const binaries = join(here, "../node_modules/.bin");
const environment = { ...process.env, PATH: `${binaries}:${process.env["PATH"]}` };

function run(command: string, ...args: string[]): void {
  execFileSync(join(binaries, command), args, { cwd: here, env: environment, stdio: "inherit" });
}

run("buf", "lint");
if (process.argv.includes("--check")) {
  const fresh = mkdtempSync(join(tmpdir(), "deltaplane-proto-"));
  try {
    run("buf", "generate", "--include-imports", "--include-wkt", "--output", fresh);
    execFileSync("diff", ["-r", join(fresh, "generated"), join(here, "generated")], { stdio: "inherit" });
    console.log("proto/generated is up to date");
  } catch {
    console.error("proto/generated is stale: run `npm run proto` and commit the result");
    process.exitCode = 1;
  } finally {
    rmSync(fresh, { recursive: true });
  }
} else {
  rmSync(join(here, "generated"), { recursive: true, force: true });
  run("buf", "generate", "--include-imports", "--include-wkt");
}
