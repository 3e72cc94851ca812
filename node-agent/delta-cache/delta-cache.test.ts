import { cp, mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { asBaseDigest, asDeltaDigest, MIB, VirtualClock } from "#kernel";
import type { BaseInfo, DeltaReference } from "#model";
import { FakeEngine } from "../testing/fake-engine.ts";
import { FolderOrigin, goldenDeltaFolder, goldenInfo, goldenReference } from "../testing/golden-base.ts";
import { type DeltaCache, openDeltaCache } from "./delta-cache.ts";
import { type DeltaLoader, openDeltaLoader } from "./delta-loader.ts";

const NAMES = ["rank-4-all", "rank-8-all-rslora", "rank-16-attention", "rank-24-layer-1"] as const;
const never = new AbortController().signal;

describe("the delta cache", () => {
  let base: BaseInfo;
  let references: DeltaReference[];
  let loader: DeltaLoader;
  let directory: string;
  let origin: FolderOrigin;
  let clock: VirtualClock;
  let engine: FakeEngine;
  let cache: DeltaCache;

  beforeAll(async () => {
    base = await goldenInfo();
    references = await Promise.all(NAMES.map((name) => goldenReference(name, base)));
    loader = openDeltaLoader(1);
  });
  afterAll(() => loader[Symbol.asyncDispose]());

  const shared: () => DeltaLoader = () => ({
    load: (...job) => loader.load(...job),
    inspect: (...job) => loader.inspect(...job),
    [Symbol.asyncDispose]: async () => undefined, // One thread serves all tests.
  });
  async function open(options: { ramBytesMax?: number; diskBytesMax?: number; fetchBytesMax?: number } = {}) {
    cache = await openDeltaCache({ clock, origin, loader: shared() }, { directory, fetchBytesMax: MIB, ...options });
    cache.addBase(base);
    return cache.openSlots(engine, { slotsMax: 2, tableRanksMax: 64 });
  }

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "delta-cache-"));
    clock = new VirtualClock();
    engine = new FakeEngine(base, 2);
    origin = new FolderOrigin();
    for (const [index, name] of NAMES.entries()) origin.folders.set(references[index]!.digest, goldenDeltaFolder(name));
  });
  afterEach(async () => {
    await cache[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  it("brings a delta from the origin through disk and RAM into a slot, and says where it found it", async () => {
    const slots = await open();
    const first = await slots.acquire(references[0]!, never);
    expect(first.arrival).toBe("origin");
    expect(engine.attached.get(first.slot)?.rank).toBe(4);
    expect((await slots.acquire(references[0]!, never)).arrival).toBe("slot");
    expect(origin.fetched).toHaveLength(1);
    expect(cache.residency.all().get(references[0]!.digest)).toMatchObject({ tier: "slot", state: "ready", references: 2, rank: 4 });
  });

  it("finds it in RAM when its slot was taken, and on disk after a restart", async () => {
    let slots = await open();
    for (const reference of references.slice(0, 3)) (await slots.acquire(reference, never)).release();
    const again = await slots.acquire(references[0]!, never);
    expect(again.arrival).toBe("ram");
    await cache[Symbol.asyncDispose]();
    engine = new FakeEngine(base, 2);
    slots = await open();
    expect((await slots.acquire(references[1]!, never)).arrival).toBe("disk");
    expect(origin.fetched).toHaveLength(3);
  });

  it("never takes the slot of a delta in use", async () => {
    const slots = await open();
    const held = [await slots.acquire(references[0]!, never), await slots.acquire(references[1]!, never)];
    const leaving = new AbortController();
    const third = slots.acquire(references[2]!, leaving.signal);
    third.catch(() => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    expect([...engine.attached.keys()].sort()).toEqual(held.map(({ slot }) => slot).sort());
    held[0]!.release();
    expect((await third).slot).not.toBe(held[1]!.slot);
    expect(engine.attached.has(held[0]!.slot)).toBe(false);
  });

  it("fetches a damaged copy on disk once more and goes on", async () => {
    const slots = await open();
    (await slots.acquire(references[0]!, never)).release();
    await cache[Symbol.asyncDispose]();
    await truncate(join(directory, references[0]!.digest, "adapter_model.safetensors"), 1000);
    engine = new FakeEngine(base, 2);
    const restarted = await open();
    expect((await restarted.acquire(references[0]!, never)).arrival).toBe("disk");
    expect(origin.fetched).toHaveLength(2);
    void slots;
  });

  it("keeps no bad content, says what is wrong with it, and remembers it", async () => {
    const bad = await mkdtemp(join(tmpdir(), "bad-delta-"));
    await cp(goldenDeltaFolder(NAMES[0]), bad, { recursive: true });
    await writeFile(join(bad, "adapter_model.safetensors"), "no weights");
    origin.folders.set(references[0]!.digest, bad);
    const slots = await open();
    await expect(slots.acquire(references[0]!, never)).rejects.toMatchObject({ reason: "checksum_mismatch" });
    await expect(slots.acquire(references[0]!, never)).rejects.toMatchObject({ reason: "delta_unavailable" });
    expect(origin.fetched).toHaveLength(1);
    await expect.poll(() => readdir(directory)).toEqual([]);
    await rm(bad, { recursive: true });
  });

  it("asks an origin that was away again after a while", async () => {
    const slots = await open();
    origin.away = true;
    await expect(slots.acquire(references[0]!, never)).rejects.toMatchObject({ reason: "delta_unavailable" });
    origin.away = false;
    await expect(slots.acquire(references[0]!, never)).rejects.toMatchObject({ reason: "delta_unavailable" });
    expect(origin.fetched).toHaveLength(1);
    await clock.advance(2000);
    expect((await slots.acquire(references[0]!, never)).arrival).toBe("origin");
  });

  it("refuses a delta of another base", async () => {
    const slots = await open();
    const foreign = { ...references[0]!, baseDigest: asBaseDigest("f".repeat(64)) };
    await expect(slots.acquire(foreign, never)).rejects.toMatchObject({ reason: "delta_base_mismatch" });
    await expect(cache.inspect(foreign, never)).rejects.toMatchObject({ reason: "delta_base_mismatch" });
  });

  it("inspects what was just uploaded, and forgets what it refuses", async () => {
    await open();
    expect(await cache.inspect(references[1]!, never)).toMatchObject({ rank: 8 });
    expect(await readdir(directory)).toEqual([references[1]!.digest]);
    const wrong = { ...references[2]!, digest: asDeltaDigest("a".repeat(64)) };
    origin.folders.set(wrong.digest, goldenDeltaFolder(NAMES[2]));
    await expect(cache.inspect(wrong, never)).rejects.toMatchObject({ reason: "checksum_mismatch" });
    cache.forget(references[1]!.digest);
    await expect.poll(() => readdir(directory)).toEqual([]);
  });

  it("keeps a pinned delta in RAM whatever else comes", async () => {
    await open({ ramBytesMax: 200_000 });
    await cache.warm(references[0]!, true, never);
    for (const reference of references.slice(1)) await cache.warm(reference, false, never);
    const all = cache.residency.all();
    expect(all.get(references[0]!.digest)).toMatchObject({ tier: "ram", pinned: true });
    expect([...all.values()].filter(({ tier }) => tier === "disk").length).toBeGreaterThan(0);
    expect(cache.status.ram.used).toBeLessThanOrEqual(200_000);
    await cache.warm(references[0]!, false, never);
    expect(cache.residency.all().get(references[0]!.digest)?.pinned).toBe(false);
  });

  it("stays within its budget on disk", async () => {
    await open({ diskBytesMax: 120_000, fetchBytesMax: 60_000 });
    for (const reference of references) await cache.warm(reference, false, never);
    expect(cache.status.disk.used).toBeLessThanOrEqual(120_000);
    expect((await readdir(directory)).length).toBeLessThan(references.length);
  });

  it("voids all slots of an engine that was lost", async () => {
    const slots = await open();
    const lease = await slots.acquire(references[0]!, never);
    slots.close(new Error("lost"));
    lease.release();
    const next = cache.openSlots(new FakeEngine(base, 2), { slotsMax: 2, tableRanksMax: 64 });
    expect((await next.acquire(references[0]!, never)).arrival).toBe("ram");
  });
});

describe("the loading threads", () => {
  it("survive a crash of one: its job fails, the next is done by another", async () => {
    const base = await goldenInfo();
    const reference = await goldenReference("rank-4-all", base);
    await using crashing = openDeltaLoader(1, new URL("../testing/crashing-worker.ts", import.meta.url));
    await expect(crashing.load("crash", reference, base)).rejects.toMatchObject({ reason: "delta_unavailable" });
    await expect(crashing.load(goldenDeltaFolder("rank-4-all"), reference, base)).resolves.toMatchObject({ rank: 4 });
  });
});
