import { appendFile, mkdir, mkdtemp, readdir, rm, stat, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Claim } from "./claim.ts";
import { type ClaimOutboxOptions, startClaimOutbox } from "./claim-outbox.ts";
import { Fault } from "./fault.ts";
import { asBaseDigest, asRequestId, asTenantId } from "./ids.ts";
import { systemClock } from "./system.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "claim-outbox-"));
});
afterEach(() => rm(folder, { recursive: true }));

function claim(requestId: string): Claim {
  const usage = { promptTokens: 3, cachedTokens: 0, completionTokens: 5 };
  const who = { tenantId: asTenantId("acme"), baseDigest: asBaseDigest("b".repeat(64)), baseName: "demo-base" };
  return { requestId: asRequestId(requestId), attempt: 1, ...who, priceVersion: 1, usage, outcome: "completed", admittedAt: 1000 };
}

/** A ledger that can be away or refuse. */
function ledger() {
  const posted: string[] = [];
  const batches: number[] = [];
  let trouble: ((claims: readonly Claim[]) => Fault | undefined) | undefined;
  const deliver = async (claims: readonly Claim[]) => {
    batches.push(claims.length);
    const fault = trouble?.(claims);
    if (fault) throw fault;
    posted.push(...claims.map(({ requestId }) => requestId));
  };
  const fail = (now: typeof trouble) => {
    trouble = now;
  };
  return { posted, batches, deliver, fail };
}

const away = () => new Fault("store_unreachable", "the ledger is away");
const start = (options: Partial<ClaimOutboxOptions> & Pick<ClaimOutboxOptions, "deliver">) =>
  startClaimOutbox({ clock: systemClock }, { file: join(folder, "claims"), lingerMs: 0, retryMsMin: 1, retryMsMax: 4, ...options });
const segments = async () => (await readdir(folder)).map((name) => join(folder, name)).sort();

describe("the claim outbox", () => {
  it("tells its operator once that the disk refuses, why, and when it no longer does", async () => {
    const told: { readonly message: string; readonly err: unknown }[] = [];
    const tell = (fields: object, message: string) => void told.push({ message, err: "err" in fields ? fields.err : undefined });
    const { deliver } = ledger();
    const deps = { clock: systemClock, log: { info: tell, warn: tell, error: tell } };
    const outbox = await startClaimOutbox(deps, { file: join(folder, "claims"), lingerMs: 0, retryMsMin: 1, retryMsMax: 4, deliver });
    await rm(folder, { recursive: true });
    for (const id of ["r1", "r2"]) await expect(outbox.write(claim(id))).rejects.toMatchObject({ reason: "store_unreachable" });
    expect(told).toEqual([
      { message: expect.stringContaining("can't be written"), err: expect.objectContaining({ reason: "store_unreachable" }) },
    ]);
    await mkdir(folder);
    await outbox.write(claim("r3"));
    expect(told[1]?.message).toContain("can be written again");
    await outbox[Symbol.asyncDispose]();
  });

  it("says why a delivery failed: under the one name by which errors are logged whole", async () => {
    const told: unknown[] = [];
    const tell = (fields: object) => void told.push(fields);
    const { deliver, fail } = ledger();
    fail(away);
    const deps = { clock: systemClock, log: { info: tell, warn: tell, error: tell } };
    const outbox = await startClaimOutbox(deps, { file: join(folder, "claims"), lingerMs: 0, retryMsMin: 1, retryMsMax: 4, deliver });
    await outbox.write(claim("r1"));
    await expect.poll(() => told[0]).toMatchObject({ err: { message: "the ledger is away" } });
    fail(undefined);
    await outbox.flush();
    await outbox[Symbol.asyncDispose]();
  });

  it("delivers what is written, and leaves no file behind when all is delivered", async () => {
    const { posted, deliver } = ledger();
    const outbox = await start({ deliver });
    await Promise.all(["r1", "r2", "r3"].map((id) => outbox.write(claim(id))));
    await outbox.flush();
    expect(posted).toEqual(["r1", "r2", "r3"]);
    expect(outbox.pending).toBe(0);
    await outbox[Symbol.asyncDispose]();
    expect(await segments()).toEqual([]);
  });

  it("is durable before it is delivered: after a crash, the next life delivers", async () => {
    const first = ledger();
    first.fail(away);
    const outbox = await start({ deliver: first.deliver });
    await outbox.write(claim("r1"));
    expect(outbox.pending).toBe(1);
    await outbox[Symbol.asyncDispose](); // Nothing could be delivered: on disk this is what a kill leaves.
    const second = ledger();
    await using next = await start({ deliver: second.deliver });
    await next.flush();
    expect(second.posted).toEqual(["r1"]);
  });

  it("tries again for as long as it takes, in batches no larger than asked for", async () => {
    const { posted, batches, deliver, fail } = ledger();
    let failures = 0;
    fail(() => (++failures < 6 ? away() : undefined));
    await using outbox = await start({ deliver, batchMax: 4 });
    await Promise.all(Array.from({ length: 10 }, (_, index) => outbox.write(claim(`r${index}`))));
    await outbox.flush();
    expect(new Set(posted).size).toBe(10);
    expect(Math.max(...batches)).toBeLessThanOrEqual(4);
  });

  it("one claim that the ledger refuses holds up no other, and stays on disk", async () => {
    const { posted, deliver, fail } = ledger();
    const refused = (claims: readonly Claim[]) =>
      claims.some(({ requestId }) => requestId === "r5") ? new Fault("parameter_invalid", "never this one") : undefined;
    fail(refused);
    const outbox = await start({ deliver });
    await Promise.all(Array.from({ length: 10 }, (_, index) => outbox.write(claim(`r${index}`))));
    await outbox.flush();
    expect([...posted].sort()).toEqual(["r0", "r1", "r2", "r3", "r4", "r6", "r7", "r8", "r9"]);
    expect(outbox.pending).toBe(1);
    await outbox[Symbol.asyncDispose]();
    fail(undefined);
    await using next = await start({ deliver });
    await next.flush();
    expect(posted).toContain("r5");
  });

  it("aborts a delivery that hangs, and tries again", async () => {
    let calls = 0;
    const deliver = (_: readonly Claim[], signal: AbortSignal) =>
      ++calls > 1
        ? Promise.resolve()
        : new Promise<void>((_, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason));
          });
    await using outbox = await start({ deliver, deliverMsMax: 5 });
    await outbox.write(claim("r1"));
    await outbox.flush();
    expect(calls).toBe(2);
  });

  it("refuses to take more than it may keep, so that nothing is served that can't be billed", async () => {
    const { deliver, fail, posted } = ledger();
    fail(away);
    await using outbox = await start({ deliver, sizeBytesMax: 1000 });
    const writes = await Promise.allSettled(Array.from({ length: 10 }, (_, index) => outbox.write(claim(`r${index}`))));
    const rejected = writes.filter((write) => write.status === "rejected").map((write) => write.reason as Fault);
    expect(rejected.length).toBeGreaterThan(0);
    for (const fault of rejected) expect(fault.reason).toBe("capacity_exhausted");
    fail(undefined);
    await outbox.flush();
    expect(posted).toHaveLength(10 - rejected.length);
  });

  it("lets writes in progress end when it is closed: each is delivered", async () => {
    for (let round = 0; round < 20; round++) {
      const { deliver, posted } = ledger();
      const outbox = await start({ deliver });
      const writes = Array.from({ length: 5 }, (_, index) => outbox.write(claim(`r${index}`)));
      await outbox[Symbol.asyncDispose]();
      await Promise.all(writes);
      expect(posted).toHaveLength(5);
      expect(await segments()).toEqual([]);
    }
  });

  it("takes nothing after it is closed", async () => {
    const { deliver } = ledger();
    const outbox = await start({ deliver });
    await Promise.all([outbox[Symbol.asyncDispose](), outbox[Symbol.asyncDispose]()]);
    await expect(outbox.write(claim("late"))).rejects.toMatchObject({ reason: "shutting_down" });
    await expect(outbox.flush()).rejects.toMatchObject({ reason: "shutting_down" });
  });

  it("delivers at least once whatever was acknowledged, after any sequence of writes, outages and crashes", async () => {
    const act = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant("write" as const), count: fc.integer({ min: 1, max: 8 }) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("outage" as const), on: fc.boolean() }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("crash" as const), tornBytes: fc.integer({ min: 0, max: 30 }) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 12 }), async (acts) => {
        const { posted, deliver, fail } = ledger();
        const acknowledged: string[] = [];
        let outbox = await start({ deliver, sizeBytesMax: 100_000 });
        for (const step of acts) {
          if (step.kind === "outage") fail(step.on ? away : undefined);
          if (step.kind === "write") {
            const ids = Array.from({ length: step.count }, (_, index) => `r${acknowledged.length + index}`);
            await Promise.all(ids.map((id) => outbox.write(claim(id))));
            acknowledged.push(...ids);
          }
          if (step.kind === "crash") {
            await outbox[Symbol.asyncDispose]();
            await tearLastSegment(step.tornBytes);
            outbox = await start({ deliver, sizeBytesMax: 100_000 });
          }
        }
        fail(undefined);
        await outbox.flush();
        await outbox[Symbol.asyncDispose]();
        expect(new Set(posted)).toEqual(new Set(acknowledged));
        expect(await segments()).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  /** As if the process was killed while it appended a line that nobody was told about. */
  async function tearLastSegment(tornBytes: number): Promise<void> {
    const last = (await segments()).at(-1);
    if (!last || tornBytes === 0) return;
    const { size } = await stat(last);
    await appendFile(last, `00000000 ${JSON.stringify(claim("unacknowledged"))}`);
    await truncate(last, size + tornBytes);
  }
});
