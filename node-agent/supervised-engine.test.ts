import { beforeAll, describe, expect, it } from "vitest";
import { Fault, type Log, SECOND, VirtualClock } from "#kernel";
import type { BaseInfo } from "#model";
import { SupervisedEngine } from "./supervised-engine.ts";
import { FakeEngine } from "./testing/fake-engine.ts";
import { goldenInfo } from "./testing/golden-base.ts";

const log: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };

describe("a supervised engine", () => {
  let info: BaseInfo;
  beforeAll(async () => {
    info = await goldenInfo();
  });

  async function start() {
    const clock = new VirtualClock();
    const engines: FakeEngine[] = [];
    const ends: unknown[] = [];
    const starts: number[] = [];
    let broken = 0;
    const supervised = await SupervisedEngine.start(
      { clock, log },
      async () => {
        starts.push(clock.monotonic());
        if (broken-- > 0) throw new Fault("engine_lost", "did not start");
        engines.push(new FakeEngine(info));
        return engines.at(-1)!;
      },
      { begin: () => engines.length, end: (_number, reason) => void ends.push(reason) },
    );
    return {
      clock,
      engines,
      ends,
      starts,
      supervised,
      breakStarts: (times: number) => {
        broken = times;
      },
    };
  }

  it("is there, and is another one shortly after it was lost", async () => {
    const { clock, engines, ends, supervised } = await start();
    expect(supervised.life?.engine).toBe(engines[0]);
    engines[0]!.crash();
    await clock.advance(0);
    expect(supervised.life).toBeUndefined();
    expect(ends).toMatchObject([{ reason: "engine_lost" }]);
    await clock.advance(200);
    expect(supervised.life?.engine).toBe(engines[1]);
    expect(supervised.life?.belongings).toBe(2);
    await supervised[Symbol.asyncDispose]();
  });

  it("waits twice as long after each failure, up to five seconds", async () => {
    const { clock, engines, starts, supervised, breakStarts } = await start();
    breakStarts(6);
    engines[0]!.crash();
    await clock.advance(30 * SECOND);
    const waits = starts.slice(1).map((at, index) => at - starts[index]!);
    expect(waits).toEqual([200, 400, 800, 1600, 3200, 5000, 5000]);
    expect(supervised.life?.engine).toBe(engines[1]);
    await supervised[Symbol.asyncDispose]();
  });

  it("begins with the short wait again after an engine that lived", async () => {
    const { clock, engines, supervised, breakStarts } = await start();
    breakStarts(3);
    engines[0]!.crash();
    await clock.advance(40 * SECOND);
    engines[1]!.crash();
    await clock.advance(200);
    expect(supervised.life?.engine).toBe(engines[2]);
    await supervised[Symbol.asyncDispose]();
  });

  it("stops while it waits to start another", async () => {
    const { clock, engines, supervised } = await start();
    engines[0]!.crash();
    await clock.advance(0);
    await supervised[Symbol.asyncDispose]();
    await clock.advance(10 * SECOND);
    expect(engines).toHaveLength(1);
  });

  it("refuses to begin with an engine that does not start", async () => {
    const refused = SupervisedEngine.start(
      { clock: new VirtualClock(), log },
      () => Promise.reject(new Fault("file_missing", "config.json")),
      {
        begin: () => undefined,
        end: () => undefined,
      },
    );
    await expect(refused).rejects.toMatchObject({ reason: "file_missing" });
  });
});
