import { appendFile, mkdtemp, rm, stat, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { seededRandom } from "#kernel";
import { createTracker, type Sink, type TrackingEvent } from "#trainer";
import { exampleRun, exampleStep, SUCCEEDED } from "./example-run.ts";
import { quietClock } from "./quiet-clock.ts";
import type { Fate, UnreliableServer } from "./unreliable-server.ts";

type QuietClock = ReturnType<typeof quietClock>;

/** What a place holds of the run, read back from the outside. */
export interface HeldRow {
  readonly step: number;
  readonly trainLoss: number;
  readonly validLoss: number | undefined;
}

/** One place to track runs in, for one test. */
export interface Place extends AsyncDisposable {
  /** A new process's sink. */
  open(quiet: QuietClock, report: (event: TrackingEvent) => void): Sink;
  held(): Promise<readonly HeldRow[]>;
  /** How it says that the run ended; undefined while it has not. */
  end(): Promise<string | undefined>;
  /** Where it is kept, when that is a file that a crash can tear. */
  file?(): Promise<string>;
  /** Where requests go, when there are any. */
  readonly server?: UnreliableServer;
}

export interface Ends {
  readonly succeeded: string | undefined;
  readonly failed: string | undefined;
}

/** Virtual hours: a slow machine is no lateness. */
const PATIENT_MS = 36_000_000;

/** What every sink promises. `ends`: its words for them; undefined when it has none. */
export function describeSink(name: string, openPlace: (directory: string) => Promise<Place>, ends: Ends): void {
  describe(name, () => {
    let directory: string;
    let place: Place;
    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), "tracking-"));
      place = await openPlace(directory);
    });
    afterEach(async () => {
      await place[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    });

    function life(quiet = quietClock(), folder = directory, finishMsMax = PATIENT_MS) {
      const events: TrackingEvent[] = [];
      const report = (event: TrackingEvent) => events.push(event);
      const sink = place.open(quiet, report);
      const tracker = createTracker(
        { clock: quiet.clock, random: seededRandom(1), report },
        { directory: join(folder, "job"), sinks: [sink], finishMsMax },
      );
      return { tracker, quiet, events, sink };
    }

    const expected = (count: number) => Array.from({ length: count }, (_, index) => rowOf(index + 1));

    test("takes every step once, in order, and the end", async () => {
      const { tracker, quiet, events } = life();
      tracker.start(exampleRun());
      for (let step = 1; step <= 120; step++) tracker.step(exampleStep(step));
      const report = await quiet.through(tracker.finish(SUCCEEDED));
      expect(events.filter(({ kind }) => kind !== "sink_started")).toEqual([]);
      expect(Object.values(report.sinks)).toEqual(["delivered"]);
      expect(await place.held()).toEqual(expected(120));
      expect(await place.end()).toBe(ends.succeeded);
    });

    test("takes a run without a step, and one that failed", async () => {
      const { tracker, quiet } = life();
      tracker.start(exampleRun());
      await quiet.through(tracker.finish({ ...SUCCEEDED, outcome: "failed" }));
      expect(await place.held()).toEqual([]);
      expect(await place.end()).toBe(ends.failed);
    });

    test("goes on after a pause, and after a crash that repeats steps", async () => {
      const first = life();
      first.tracker.start(exampleRun());
      for (let step = 1; step <= 30; step++) first.tracker.step(exampleStep(step));
      await first.quiet.through(first.tracker.finish({ ...SUCCEEDED, outcome: "paused" }));
      const second = life();
      second.tracker.start(exampleRun());
      for (let step = 31; step <= 47; step++) second.tracker.step(exampleStep(step));
      await second.quiet.until(() => second.events.some(({ kind }) => kind === "sink_started"));
      await second.tracker[Symbol.asyncDispose](); // No end: as much as a test in one process can crash.
      const third = life();
      third.tracker.start(exampleRun({ config: { ...exampleRun().config, status: "running again" } }));
      for (let step = 41; step <= 60; step++) third.tracker.step(exampleStep(step));
      await third.quiet.through(third.tracker.finish(SUCCEEDED));
      expect(await place.held()).toEqual(expected(60));
      expect(await place.end()).toBe(ends.succeeded);
    });

    test("on another machine goes on when it is told all steps that are known", async () => {
      const first = life();
      first.tracker.start(exampleRun());
      for (let step = 1; step <= 30; step++) first.tracker.step(exampleStep(step));
      await first.quiet.through(first.tracker.finish({ ...SUCCEEDED, outcome: "paused" }));
      const second = life(quietClock(), join(directory, "other"));
      second.tracker.start(exampleRun());
      for (let step = 1; step <= 40; step++) second.tracker.step(exampleStep(step));
      await second.quiet.through(second.tracker.finish(SUCCEEDED));
      expect(await place.held()).toEqual(expected(40));
    });

    test("keeps losses that are no numbers", async () => {
      const { tracker, quiet } = life();
      tracker.start(exampleRun());
      tracker.step({ ...exampleStep(1), trainLoss: Number.NaN });
      tracker.step({ ...exampleStep(2), trainLoss: Number.POSITIVE_INFINITY });
      const report = await quiet.through(tracker.finish(SUCCEEDED));
      expect(Object.values(report.sinks)).toEqual(["delivered"]);
      expect((await place.held()).map(({ trainLoss }) => trainLoss)).toEqual([Number.NaN, Number.POSITIVE_INFINITY]);
    });

    test("mends a file that a crash tore anywhere", async (context) => {
      if (place.file === undefined) return context.skip("it keeps no file");
      for (const [lostBytes, garbage] of [
        [1, ""],
        [9, ""],
        [40, "\0\0\0\0\0\0\0\0\0"],
        [300, ""],
        [0, "\0\0\0\0"],
        [0, "7,0."],
        [1_000_000, ""],
      ] as const) {
        const first = life();
        first.tracker.start(exampleRun());
        for (let step = 1; step <= 20; step++) first.tracker.step(exampleStep(step));
        await first.quiet.through(first.tracker.finish({ ...SUCCEEDED, outcome: "paused" }));
        const file = await place.file();
        await truncate(file, Math.max(0, (await stat(file)).size - lostBytes));
        await appendFile(file, garbage);
        const second = life();
        second.tracker.start(exampleRun());
        for (let step = 18; step <= 22; step++) second.tracker.step(exampleStep(step));
        await second.quiet.through(second.tracker.finish({ ...SUCCEEDED, outcome: "paused" }));
        expect(await place.held(), `${lostBytes} bytes lost`).toEqual(expected(22));
      }
    });

    test("whatever fails on the way, no row is there twice and none is lost", async (context) => {
      if (place.server === undefined) return context.skip("it talks to no server");
      // Trouble soon, and trouble when most has been said.
      const trouble = fc.array(fc.constantFrom<Fate>("answered", "answered", "refused", "lost", "unheard", "unheard"), { maxLength: 15 });
      const fates = fc
        .tuple(fc.integer({ min: 0, max: 8 }), trouble)
        .map(([calm, list]) => [...Array<Fate>(calm).fill("answered"), ...list]);
      const lives = fc.array(fc.record({ steps: fc.integer({ min: 1, max: 25 }), requests: fc.integer({ min: 0, max: 12 }) }), {
        maxLength: 2,
      });
      let counter = 0;
      await fc.assert(
        fc.asyncProperty(fates, lives, async (list, crashes) => {
          const other = join(directory, `life-${counter++}`);
          await place[Symbol.asyncDispose]();
          place = await openPlace(other);
          const queue = [...list];
          place.server!.fate = () => queue.shift() ?? "answered";
          let trained = 0;
          for (const { steps, requests } of crashes) {
            const { tracker, quiet } = life(quietClock(), other);
            tracker.start(exampleRun());
            const before = place.server!.requests;
            for (let step = Math.max(1, trained - 5); step <= trained + steps; step++) tracker.step(exampleStep(step));
            trained += steps;
            await quiet.until(() => place.server!.requests >= before + requests || quiet.clock.monotonic() > 600_000);
            await tracker[Symbol.asyncDispose]();
          }
          const { tracker, quiet } = life(quietClock(), other);
          tracker.start(exampleRun());
          for (let step = Math.max(1, trained - 5); step <= 80; step++) tracker.step(exampleStep(step));
          const report = await quiet.through(tracker.finish(SUCCEEDED));
          expect(Object.values(report.sinks)).toEqual(["delivered"]);
          expect(await place.held()).toEqual(expected(80));
          expect(await place.end()).toBe(ends.succeeded);
        }),
        { numRuns: 25 },
      );
    });

    test("is given up for good when it refuses, and training goes on", async (context) => {
      if (place.server === undefined) return context.skip("it talks to no server");
      const refusing = { ...quietClock(), fetch: async () => new Response("no such key", { status: 401 }) };
      const { tracker, quiet, events } = life(refusing);
      tracker.start(exampleRun());
      tracker.step(exampleStep(1));
      const report = await quiet.through(tracker.finish(SUCCEEDED));
      expect(Object.values(report.sinks)).toEqual(["gave_up"]);
      expect(events.map((event) => ("fault" in event ? event.fault.reason : event.kind))).toEqual(["tracker_refused"]);
    });

    test("catches up when a server that was down for an hour is back", async (context) => {
      const { server } = place;
      if (server === undefined) return context.skip("it talks to no server");
      const { tracker, quiet, events } = life();
      server.fate = () => "refused";
      tracker.start(exampleRun());
      for (let step = 1; step <= 3000; step++) tracker.step(exampleStep(step));
      const from = quiet.clock.now();
      await quiet.until(() => quiet.clock.now() > from + 3_600_000, 20_000);
      const attempts = events.filter(({ kind }) => kind === "sink_failed").length;
      expect(attempts).toBeGreaterThan(40); // Once a minute, but not more often.
      expect(attempts).toBeLessThan(70);
      server.fate = () => "answered";
      const started = events.length;
      await quiet.until(() => events.slice(started).some(({ kind }) => kind === "sink_started"));
      await quiet.through(tracker.finish(SUCCEEDED));
      expect((await place.held()).map(({ step }) => step)).toEqual(Array.from({ length: 3000 }, (_, index) => index + 1));
    });

    test("that never answers holds a finished job up for as long as it may, and is called behind", async (context) => {
      const { server } = place;
      if (server === undefined) return context.skip("it talks to no server");
      const { tracker, quiet } = life(quietClock(), directory, 60_000);
      server.fate = () => "refused";
      tracker.start(exampleRun());
      tracker.step(exampleStep(1));
      const from = quiet.clock.now();
      const report = await quiet.through(tracker.finish(SUCCEEDED));
      expect(Object.values(report.sinks)).toEqual(["behind"]);
      expect(quiet.clock.now() - from).toBeLessThanOrEqual(61_000);
    });
  });
}

function rowOf(step: number): HeldRow {
  const { trainLoss, validLoss } = exampleStep(step);
  return { step, trainLoss: trainLoss!, validLoss };
}
