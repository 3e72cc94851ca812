import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { Fault, systemClock } from "#kernel";
import { openChannel } from "./channel.ts";
import { ClusterServiceService, type ReportRequest, ReportRequest as ReportRequestMessage } from "./generated/deltaplane/v1/cluster.ts";
import { CountTokensRequest, GenerateRequest, InferenceServiceService } from "./generated/deltaplane/v1/inference.ts";
import type { CallContext } from "./serve.ts";
import { countTokens, disposeOpened, generate, piece, serve, until, waiting } from "./testing/running-service.ts";

afterEach(disposeOpened);

describe("a call", () => {
  it("tells its handler who calls and what for", async () => {
    let seen: CallContext | undefined;
    const { channel } = await serve({
      inference: {
        async countTokens(request, context) {
          seen = context;
          return { tokens: request.model.length };
        },
      },
    });
    expect(await countTokens(channel)).toEqual({ tokens: 1 });
    expect(seen).toMatchObject({ path: "/deltaplane.v1.InferenceService/CountTokens", credential: "secret" });
  });

  it("that is cancelled aborts the handler, and gives the caller its own reason", async () => {
    const { reasons, wait } = waiting();
    let calls = 0;
    const { channel } = await serve({
      inference: {
        countTokens(_, { signal }) {
          calls++;
          return wait(signal);
        },
        async *generate(_, { signal }) {
          yield piece("first");
          await wait(signal);
        },
      },
    });
    const stop = new AbortController();
    const single = countTokens(channel, { signal: stop.signal });
    const stream = generate(channel, { signal: stop.signal });
    await stream.next();
    await until(() => calls === 1);
    const why = new Error("changed my mind");
    const next = stream.next();
    stop.abort(why);
    await expect(single).rejects.toBe(why);
    await expect(next).rejects.toBe(why);
    await until(() => reasons.length === 2);
    for (const reason of reasons) expect(reason).toMatchObject({ reason: "client_gone" });
    await expect(countTokens(channel, { signal: stop.signal }).catch((error) => error)).resolves.toBe(why);
  });

  it("whose reader leaves the loop aborts the handler", async () => {
    const { reasons, wait } = waiting();
    const { channel } = await serve({
      inference: {
        async *generate(_, { signal }) {
          yield piece("first");
          await wait(signal);
        },
      },
    });
    for await (const { text } of channel.serverStream(InferenceServiceService.generate, GenerateRequest.create({}))) {
      expect(text).toBe("first");
      break;
    }
    await until(() => reasons.length === 1);
  });

  it("ends with deadline_passed on both sides", async () => {
    const { reasons, wait } = waiting();
    let begun = 0;
    const { channel } = await serve({
      inference: {
        countTokens(_, { signal }) {
          begun++;
          return wait(signal);
        },
        async *generate(_, { signal }) {
          begun++;
          yield piece("first");
          await wait(signal);
        },
      },
    });
    const stream = generate(channel, { timeoutMs: 1000 });
    await stream.next();
    await expect(countTokens(channel, { timeoutMs: 50 })).rejects.toMatchObject({ reason: "deadline_passed" });
    await expect(stream.next()).rejects.toMatchObject({ reason: "deadline_passed" });
    await until(() => reasons.length === begun); // The short one may have been over before it arrived.
    for (const reason of reasons) expect(reason).toMatchObject({ reason: "deadline_passed" });
  });

  it("to nobody is a fault", async () => {
    const { server, channel } = await serve({});
    await server.drain(0);
    await expect(countTokens(channel, { timeoutMs: 5000 })).rejects.toMatchObject({ code: "unavailable" });
  });
});

describe("a stream of requests", () => {
  const report = (sequence: number) => ReportRequestMessage.create({ nodeId: "n", sequence });

  it("arrives in order, as fast as the handler takes it, and nothing piles up on the way", async () => {
    const warnings: Error[] = [];
    const warn = (warning: Error) => warnings.push(warning);
    process.on("warning", warn);
    const seen: number[] = [];
    const { channel } = await serve({
      cluster: {
        async report(requests) {
          for await (const { sequence } of requests) seen.push(sequence);
          return {};
        },
      },
    });
    await channel.clientStream(
      ClusterServiceService.report,
      (async function* () {
        for (let sequence = 1; sequence <= 2000; sequence++) yield report(sequence);
      })(),
    );
    expect(seen).toEqual(Array.from({ length: 2000 }, (_, index) => index + 1));
    process.off("warning", warn);
    expect(warnings).toEqual([]);
  });

  it("whose source fails is cancelled and does not look whole, and the caller gets the source's own error", async () => {
    const endings: unknown[] = [];
    let begun = false;
    const { channel } = await serve({
      cluster: {
        async report(requests) {
          try {
            for await (const _ of requests) begun = true;
            endings.push("whole");
          } catch (error) {
            endings.push(error);
          }
          return {};
        },
      },
    });
    const broken = async function* (): AsyncGenerator<ReportRequest> {
      yield report(1);
      await until(() => begun);
      throw new Error("the disk is gone");
    };
    await expect(channel.clientStream(ClusterServiceService.report, broken())).rejects.toThrow("the disk is gone");
    await until(() => endings.length === 1);
    expect(endings[0]).toMatchObject({ reason: "client_gone" });
  });

  it("whose connection is cut ends with client_gone, not like a whole one", async () => {
    const endings: unknown[] = [];
    const { server, channel, faults } = await serve({
      cluster: {
        async report(requests) {
          try {
            for await (const _ of requests) endings.push("begun");
            endings.push("whole");
          } catch (error) {
            endings.push(error);
            throw error;
          }
          return {};
        },
      },
    });
    const open = async function* (): AsyncGenerator<ReportRequest> {
      yield report(1);
      await until(() => endings.length > 1);
    };
    const sent = channel.clientStream(ClusterServiceService.report, open()).catch((fault: unknown) => fault);
    await until(() => endings.length === 1);
    await server.drain(0); // Cuts every connection, as a killed client would.
    expect(await sent).toMatchObject({ code: "unavailable" });
    expect(endings).toMatchObject(["begun", { reason: "client_gone" }]);
    expect(faults).toMatchObject([{ reason: "client_gone" }]);
  });

  it("may be answered before it ends", async () => {
    const { channel } = await serve({
      cluster: {
        async report(requests) {
          for await (const { sequence } of requests) if (sequence === 3) throw new Fault("report_rejected", "enough");
          return {};
        },
      },
    });
    const endless = async function* (): AsyncGenerator<ReportRequest> {
      for (let sequence = 1; ; sequence++) {
        yield report(sequence);
        await systemClock.after(1);
      }
    };
    await expect(channel.clientStream(ClusterServiceService.report, endless())).rejects.toMatchObject({ reason: "report_rejected" });
  });
});

it("a call waits for a connection no longer than it may, when whoever listens says nothing", async () => {
  const mute = createServer().listen(0, "127.0.0.1");
  await once(mute, "listening");
  const { port } = mute.address() as AddressInfo;
  await using channel = openChannel({ address: `127.0.0.1:${port}`, clock: systemClock, connectMsMax: 100 });
  const call = channel.unary(InferenceServiceService.countTokens, CountTokensRequest.create(), { timeoutMs: 60_000 });
  await expect(call).rejects.toMatchObject({ message: expect.stringContaining("no connection after 100 ms") });
  mute.close();
});
