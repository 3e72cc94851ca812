import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";
import { startClaimOutbox } from "./claim-outbox.ts";
import { systemClock } from "./system.ts";

/** Writes claims with eight at a time, tells of each that is acknowledged, and never delivers any. */
const WRITER = `
  const { startClaimOutbox, systemClock } = await import(${JSON.stringify(join(import.meta.dirname, "index.ts"))});
  const outbox = await startClaimOutbox({ clock: systemClock }, { file: process.argv[1], deliver: async () => { throw new Error("away"); } });
  const usage = { promptTokens: 1, cachedTokens: 0, completionTokens: 1 };
  const who = { attempt: 1, tenantId: "acme", baseDigest: "b", baseName: "demo-base", priceVersion: 1, outcome: "completed", admittedAt: 0 };
  let next = 0;
  const write = async () => {
    for (;;) {
      const requestId = process.argv[2] + "-" + next++;
      await outbox.write({ requestId, usage, ...who });
      process.stdout.write(requestId + "\\n");
    }
  };
  for (let writer = 0; writer < 8; writer++) void write();
`;

it("a writer killed with SIGKILL, again and again, loses no claim that it was told is durable", async () => {
  const folder = await mkdtemp(join(tmpdir(), "claim-outbox-crash-"));
  const file = join(folder, "claims");
  const acknowledged: string[] = [];
  for (const life of ["first", "second", "third"]) {
    const writer = spawn(process.execPath, ["--input-type=module", "-e", WRITER, file, life], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(writer, "close");
    let lines = 0;
    for await (const line of createInterface({ input: writer.stdout })) {
      acknowledged.push(line);
      if (++lines === 100) writer.kill("SIGKILL"); // What was printed before the kill arrived counts too.
    }
    await ended;
  }
  const delivered = new Set<string>();
  const deliver = async (claims: readonly { requestId: string }[]) => {
    for (const { requestId } of claims) delivered.add(requestId);
  };
  await using outbox = await startClaimOutbox({ clock: systemClock }, { file, deliver });
  await outbox.flush();
  expect(acknowledged.length).toBeGreaterThanOrEqual(300);
  expect(acknowledged.filter((id) => !delivered.has(id))).toEqual([]);
  await rm(folder, { recursive: true });
});
