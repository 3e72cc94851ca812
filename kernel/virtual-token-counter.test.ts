import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TOKEN_WEIGHTS, VirtualTokenCounter } from "./virtual-token-counter.ts";

const SEED = 20_261_123; // fast-check prints it, with the path, when a property fails.
const property = { seed: SEED, numRuns: 200 };

const INPUT_MAX = 40;
const OUTPUT_MAX = 30;
const ROWS = 4;
/** The paper's U: one start may charge a whole input, and what is under way may still charge this much output. */
const BOUND = Math.max(TOKEN_WEIGHTS.input * INPUT_MAX, TOKEN_WEIGHTS.output * ROWS * OUTPUT_MAX);

interface Job {
  readonly tenant: string;
  readonly input: number;
  outputLeft: number;
}

/** A server of a few rows that asks the counter who is next, and remembers what everyone was given. */
class Server {
  readonly counter: VirtualTokenCounter<string>;
  readonly served = new Map<string, number>();
  readonly queues = new Map<string, Job[]>();
  running: Job[] = [];
  rowsIdleBesideWork = false;

  constructor(options: ConstructorParameters<typeof VirtualTokenCounter>[0] = {}) {
    this.counter = new VirtualTokenCounter(options);
  }

  arrive(job: Job): void {
    const queue = this.queues.get(job.tenant) ?? [];
    this.queues.set(job.tenant, queue);
    queue.push(job);
    this.counter.arrived(job.tenant);
  }

  backlogged(tenant: string): boolean {
    return (this.queues.get(tenant)?.length ?? 0) > 0;
  }

  /** Fills the rows, then gives every running job a token. */
  step(): void {
    while (this.running.length < ROWS) {
      const tenant = this.counter.next();
      if (tenant === undefined) break;
      const job = this.queues.get(tenant)!.shift()!;
      this.counter.started(tenant, job.input);
      this.#give(tenant, job.input * TOKEN_WEIGHTS.input);
      this.running.push(job);
    }
    const waiting = [...this.queues.values()].some((queue) => queue.length > 0);
    if (waiting && this.running.length < ROWS) this.rowsIdleBesideWork = true;
    for (const job of this.running) {
      this.counter.produced(job.tenant, 1);
      this.#give(job.tenant, TOKEN_WEIGHTS.output);
      if (--job.outputLeft === 0) this.counter.ended(job.tenant);
    }
    this.running = this.running.filter((job) => job.outputLeft > 0);
  }

  #give(tenant: string, tokens: number): void {
    this.served.set(tenant, (this.served.get(tenant) ?? 0) + tokens);
  }
}

const TENANTS = ["a", "b", "c", "d"];
const jobOf = fc.record({
  tenant: fc.constantFrom(...TENANTS),
  input: fc.integer({ min: 1, max: INPUT_MAX }),
  outputLeft: fc.integer({ min: 1, max: OUTPUT_MAX }),
});
/** What arrives before each step: at first one tenant alone, for long; then everybody, often nothing, sometimes a burst. */
const arrivalsOf = fc
  .tuple(
    fc.array(fc.constant<readonly Job[]>([{ tenant: "a", input: INPUT_MAX, outputLeft: 5 }]), { maxLength: 60 }),
    fc.array(fc.oneof(fc.constant([]), fc.array(jobOf, { maxLength: 6 })), { maxLength: 100 }),
  )
  .map(([alone, together]) => [...alone, ...together]);

function played(
  arrivals: readonly (readonly Job[])[],
  seen: (server: Server) => void,
  options?: ConstructorParameters<typeof VirtualTokenCounter>[0],
): Server {
  const server = new Server(options);
  for (const jobs of arrivals) {
    for (const job of jobs) server.arrive({ ...job });
    server.step();
    seen(server);
  }
  return server;
}

describe.each([0, 100])("tenants that are backlogged, with a spare of %i,", (spare) => {
  const bound = BOUND + spare;

  test("have counters that differ by at most the paper's bound", () => {
    fc.assert(
      fc.property(arrivalsOf, (arrivals) => {
        played(
          arrivals,
          (server) => {
            const counters = TENANTS.filter((tenant) => server.backlogged(tenant)).map((tenant) => server.counter.counterOf(tenant)!);
            if (counters.length > 0) expect(Math.max(...counters) - Math.min(...counters)).toBeLessThanOrEqual(bound);
          },
          { spare },
        );
      }),
      property,
    );
  });

  test("are given service that differs by at most twice that over any time in which both stay so", () => {
    fc.assert(
      fc.property(arrivalsOf, (arrivals) => {
        /** By pair: what each had been given when both had become backlogged. */
        const since = new Map<string, readonly [number, number]>();
        played(
          arrivals,
          (server) => {
            for (const one of TENANTS)
              for (const other of TENANTS) {
                if (one >= other) continue;
                const pair = `${one}${other}`;
                const now = [server.served.get(one) ?? 0, server.served.get(other) ?? 0] as const;
                if (!server.backlogged(one) || !server.backlogged(other)) since.delete(pair);
                else if (!since.has(pair)) since.set(pair, now);
                else {
                  const [oneBefore, otherBefore] = since.get(pair)!;
                  expect(Math.abs(now[0] - oneBefore - (now[1] - otherBefore))).toBeLessThanOrEqual(2 * bound);
                }
              }
          },
          { spare },
        );
      }),
      property,
    );
  });

  test("are served whenever a row is free: nobody waits beside one", () => {
    fc.assert(
      fc.property(arrivalsOf, (arrivals) => {
        const server = played(arrivals, ({ rowsIdleBesideWork }) => expect(rowsIdleBesideWork).toBe(false), { spare });
        const work = [...server.queues.values()].flat().length + server.running.length;
        for (let step = 0; step < work * OUTPUT_MAX; step++) server.step();
        expect(server.running).toEqual([]);
        expect(server.counter.next()).toBeUndefined();
      }),
      { ...property, numRuns: 50 },
    );
  });
});

test("numbers that start again from zero change no decision", () => {
  fc.assert(
    fc.property(arrivalsOf, (arrivals) => {
      const orderOf = (rebaseAt?: number) => {
        const order: (string | undefined)[] = [];
        played(arrivals, ({ counter }) => order.push(counter.next()), rebaseAt === undefined ? {} : { rebaseAt });
        return order;
      };
      expect(orderOf(50)).toEqual(orderOf());
    }),
    property,
  );
});

describe("who was away", () => {
  test("gets no credit for it: it starts where the others are", () => {
    const counter = new VirtualTokenCounter<string>();
    for (let round = 0; round < 100; round++) {
      counter.arrived("busy");
      counter.arrived("busy");
      counter.started("busy", 100);
      counter.withdrawn("busy");
      counter.ended("busy");
    }
    counter.arrived("busy");
    counter.arrived("new");
    expect(counter.counterOf("new")).toBe(counter.counterOf("busy"));
  });

  test("starts where the last one was when nobody waits", () => {
    const counter = new VirtualTokenCounter<string>();
    counter.arrived("first");
    counter.started("first", 10);
    counter.produced("first", 5);
    counter.ended("first");
    counter.arrived("second");
    expect(counter.counterOf("second")).toBe(20);
  });

  test("still owes what it was given beyond the others", () => {
    const counter = new VirtualTokenCounter<string>();
    counter.arrived("poor");
    counter.arrived("rich");
    counter.started("rich", 1000);
    counter.ended("rich");
    counter.arrived("rich");
    expect(counter.counterOf("rich")).toBe(1000);
    expect(counter.next()).toBe("poor");
  });
});

test("who asks once more before its last piece has ended goes before who has far more running, up to the spare", () => {
  const running = (spare: number, hotPieces: number, lightTokens: number) => {
    const counter = new VirtualTokenCounter<string>({ spare });
    for (let piece = 0; piece <= hotPieces; piece++) counter.arrived("hot");
    for (let piece = 0; piece < hotPieces; piece++) counter.started("hot", 0);
    counter.arrived("light");
    counter.started("light", lightTokens);
    counter.arrived("light");
    return counter;
  };
  expect(running(0, 3, 50).next()).toBe("hot");
  expect(running(50, 3, 50).next()).toBe("light");
  expect(running(50, 3, 51).next()).toBe("hot");
  expect(running(50, 2, 50).next()).toBe("hot"); // Twice as many is alike.
  expect(running(50, 3, 50).next(new Set(["light"]))).toBe("hot");
});

test("among equals the one who was served longest ago is next, and those passed over are not", () => {
  const counter = new VirtualTokenCounter<string>();
  counter.arrived("a");
  counter.arrived("a");
  counter.started("a", 0);
  counter.arrived("b");
  expect(counter.next()).toBe("b");
  expect(counter.next(new Set(["b"]))).toBe("a");
  expect(counter.next(new Set(["a", "b"]))).toBeUndefined();
});

test("an input that was estimated wrongly is corrected, never below nothing", () => {
  const counter = new VirtualTokenCounter<string>();
  counter.arrived("a");
  counter.started("a", 10);
  counter.corrected("a", 15);
  expect(counter.counterOf("a")).toBe(25);
  counter.corrected("a", -100);
  expect(counter.counterOf("a")).toBe(0);
});

test("memory holds those with work, not all that ever came", () => {
  const counter = new VirtualTokenCounter<string>();
  for (let index = 0; index < 10_000; index++) {
    counter.arrived(`tenant-${index}`);
    counter.started(`tenant-${index}`, 1 + (index % 50));
    counter.ended(`tenant-${index}`);
  }
  expect(counter.size).toBeLessThanOrEqual(128);
});
