import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const MAIN = join(ROOT, "cli/main.ts");
const folder = mkdtempSync(join(tmpdir(), "deltaplane-apart-"));
const children: ChildProcess[] = [];
afterAll(async () => {
  await Promise.all(children.map(stop));
  rmSync(folder, { recursive: true, force: true });
});

function start(...[component, ...args]: readonly string[]): ChildProcess {
  const key = ["--cluster-key-file", join(folder, "key"), "--metrics-listen", "127.0.0.1:0"];
  const child = spawn(process.execPath, [MAIN, component!, ...key, ...args], { cwd: folder, stdio: "ignore" });
  children.push(child);
  return child;
}

async function stop(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  child.kill("SIGTERM");
  return new Promise((resolve) => child.once("exit", resolve));
}

async function freeAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return `127.0.0.1:${address.port}`;
}

test("scheduler, router and node agent run apart: the first router leaves an admin key, and the cluster serves", async () => {
  writeFileSync(join(folder, "key"), "a-secret-that-the-parts-share");
  const [scheduler, router, admin, http, node] = await Promise.all(Array.from({ length: 5 }, freeAddress));
  if (!scheduler || !router || !admin || !http || !node) throw new Error("no ports");
  start("scheduler", "--listen", scheduler);
  start(
    ...["router", "--grpc-listen", router, "--admin-listen", admin, "--http-listen", http],
    ...["--scheduler", scheduler, "--data-directory", join(folder, "router")],
  );
  const base = `demo-base=${join(ROOT, "models/demo-base")}`;
  start(
    "node-agent",
    "--id",
    "n1",
    "--listen",
    node,
    "--scheduler",
    scheduler,
    "--router",
    router,
    "--base",
    base,
    "--cache-directory",
    join(folder, "n1"),
  );
  const ready = async () => (await fetch(`http://${http}/readyz`).catch(() => undefined))?.status;
  await expect.poll(ready, { timeout: 30_000, interval: 100 }).toBe(200);

  const adminKey = readFileSync(join(folder, "router/admin-key"), "utf8").trim();
  const deltaplane = (...args: string[]) =>
    execFileSync(process.execPath, [MAIN, "--server", router, "--admin-server", admin, "--key", adminKey, ...args], { encoding: "utf8" });
  deltaplane("tenants", "add", "acme");
  const translate = join(ROOT, "models/demo-deltas/translate");
  deltaplane("deltas", "push", translate, "--base", "demo-base", "--name", "english", "--tenant", "acme");
  const [line] = readFileSync(join(translate, "heldout.jsonl"), "utf8").split("\n", 1);
  const { prompt, completion } = JSON.parse(line!) as { prompt: string; completion: string };
  expect(deltaplane("run", "acme/english", prompt, "--temperature", "0").trim()).toBe(completion);

  expect(await Promise.all(children.reverse().map(stop))).toEqual([0, 0, 0]);
});
