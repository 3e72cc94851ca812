import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";

const MAIN = join(import.meta.dirname, "../../cli/main.ts");
const folder = mkdtempSync(join(tmpdir(), "deltaplane-orphans-"));
writeFileSync(join(folder, "key"), "a-secret-that-the-parts-share");
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill("SIGKILL"); // Should one live on, nothing is left behind.
  rmSync(folder, { recursive: true, force: true });
});

/** What takes the channel away is the end of the process that forked it, whatever ended that. */
it.each([
  ["node-agent", ["--listen", "127.0.0.1:0", "--scheduler", "127.0.0.1:1", "--cache-directory", folder, "--notice-seconds", "0"]],
  ["trainer", ["--directory", folder]],
] as const)("a %s whose cluster ends while it starts ends too", async (component, args) => {
  const shared = ["--cluster-key-file", join(folder, "key"), "--metrics-listen", "127.0.0.1:0", "--router", "127.0.0.1:1"];
  const child = fork(MAIN, [component, ...shared, ...args], { cwd: folder, stdio: "ignore" });
  children.push(child);
  child.disconnect();
  await new Promise((resolve) => child.once("exit", resolve));
  expect(child.signalCode).toBe(null);
});
