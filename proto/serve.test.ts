import { afterEach, describe, expect, it } from "vitest";
import { type Clock, Fault, systemClock, VirtualClock } from "#kernel";
import { GenerateRequest, InferenceServiceService } from "./generated/deltaplane/v1/inference.ts";
import { countTokens, disposeOpened, generate, piece, serve, until } from "./testing/running-service.ts";

afterEach(disposeOpened);

describe("a handler that fails", () => {
  const failures: readonly (readonly [string, () => never | Promise<never>, string])[] = [
    [
      "throws a fault",
      () => {
        throw new Fault("model_unknown", "no such model");
      },
      "model_unknown",
    ],
    [
      "rejects with a fault",
      async () => {
        throw new Fault("model_unknown", "no such model");
      },
      "model_unknown",
    ],
    [
      "throws an error",
      () => {
        throw new Error("secret insides");
      },
      "bug",
    ],
    ["rejects with an error", () => Promise.reject(new TypeError("secret insides")), "bug"],
    ["rejects with a text", () => Promise.reject("secret insides"), "bug"],
    ["rejects with nothing", () => Promise.reject(undefined), "bug"],
  ];

  it.each(failures)("and %s is a status, for a single answer and for a stream; the server goes on", async (_, fail, reason) => {
    const { channel, faults } = await serve({
      inference: {
        countTokens: () => fail(),
        generate: () => fail() as never,
      },
    });
    const expected = { reason, message: expect.not.stringContaining("secret") as string };
    await expect(countTokens(channel)).rejects.toMatchObject(expected);
    await expect(generate(channel).next()).rejects.toMatchObject(expected);
    await expect(countTokens(channel)).rejects.toMatchObject(expected);
    expect(faults.map((fault) => fault.reason)).toEqual([reason, reason, reason]);
  });

  it("in the middle of a stream ends it after what was sent", async () => {
    const { channel } = await serve({
      inference: {
        async *generate() {
          yield piece("one");
          yield piece("two");
          throw new Fault("node_lost", "gone");
        },
      },
    });
    const texts: string[] = [];
    const read = (async () => {
      for await (const { text } of channel.serverStream(InferenceServiceService.generate, GenerateRequest.create({}))) texts.push(text);
    })();
    await expect(read).rejects.toMatchObject({ reason: "node_lost", retry: { kind: "other_node" } });
    expect(texts).toEqual(["one", "two"]);
  });

  it("to write its answer (a value of the wrong shape) is a status too", async () => {
    const { channel } = await serve({ inference: { countTokens: async () => ({ tokens: "many" }) as never } });
    await expect(countTokens(channel)).rejects.toBeInstanceOf(Fault);
    await expect(countTokens(channel)).rejects.toBeInstanceOf(Fault);
  });
});

describe("a client that reads nothing", () => {
  const chunk = "x".repeat(64 * 1024);

  async function flood(clock: Clock) {
    const state = { pulled: 0, ended: false };
    const served = await serve(
      {
        inference: {
          async *generate() {
            try {
              for (; state.pulled < 5000; state.pulled++) yield piece(chunk);
            } finally {
              state.ended = true;
            }
          },
        },
      },
      { clock, stallMsMax: 1000 },
    );
    return { ...served, state };
  }

  /** Until the generator is no longer pulled. */
  async function still(state: { pulled: number }): Promise<number> {
    for (let before = -1; before !== state.pulled; ) {
      before = state.pulled;
      await systemClock.after(100);
    }
    return state.pulled;
  }

  it("stops the handler being pulled, and is ended once it has stalled for too long", async () => {
    const clock = new VirtualClock();
    const { channel, state, faults } = await flood(clock);
    const stream = generate(channel);
    await stream.next();
    const pulled = await still(state);
    expect(pulled).toBeLessThan(100); // Of 5000: what fits the transport's windows, a few megabytes.
    await clock.advance(999);
    expect(state.ended).toBe(false);
    await clock.advance(1);
    await until(() => state.ended);
    expect(faults).toMatchObject([{ reason: "client_stalled" }]);
    await expect(
      (async () => {
        while (!(await stream.next()).done);
      })(),
    ).rejects.toMatchObject({ reason: "client_stalled" });
  });

  it("that reads again in time gets everything, and nothing piles up on the way", async () => {
    const warnings: Error[] = [];
    const warn = (warning: Error) => warnings.push(warning);
    process.on("warning", warn);
    const { channel, state } = await flood(new VirtualClock());
    const stream = generate(channel);
    await stream.next();
    await still(state);
    let read = 1;
    while (!(await stream.next()).done && read < 300) read++;
    await stream.return?.();
    expect(read).toBe(300);
    process.off("warning", warn);
    expect(warnings).toEqual([]); // A listener left behind at each wait would be one.
  });

  it("and leaves ends at once", async () => {
    const { channel, state } = await flood(new VirtualClock());
    const stop = new AbortController();
    const stream = generate(channel, { signal: stop.signal });
    await stream.next();
    await still(state);
    stop.abort();
    await until(() => state.ended);
  });
});
