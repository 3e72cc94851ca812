import { execFile } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { freePort } from "./free-port.ts";

const PROCESSES = 4;
const PORTS_EACH = 12;

test("processes that ask at the same time are given different ports, none of them twice", async () => {
  const given = await Promise.all(Array.from({ length: PROCESSES }, async () => portsOfAnotherProcess()));
  const own = await Promise.all(Array.from({ length: PORTS_EACH }, freePort));
  const all = [...given.flat(), ...own];
  expect(new Set(all).size).toBe((PROCESSES + 1) * PORTS_EACH);
});

test("a port on which somebody listens is passed over", async () => {
  const next = (await freePort()) + 1;
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(next, "127.0.0.1", resolve));
  try {
    expect(await freePort()).not.toBe(next);
  } finally {
    server.close();
  }
});

/** It lives until all have their ports: a block is free again when its process has ended. */
async function portsOfAnotherProcess(): Promise<number[]> {
  const module = JSON.stringify(join(import.meta.dirname, "free-port.ts"));
  const source = `
    const { freePort } = await import(${module});
    const ports = await Promise.all(Array.from({ length: ${PORTS_EACH} }, freePort));
    console.log(JSON.stringify(ports));
    await new Promise((resolve) => setTimeout(resolve, 1_500));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", source]);
  return JSON.parse(stdout);
}
