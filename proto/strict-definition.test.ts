import { once } from "node:events";
import { connect } from "node:net";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { CountTokensRequest, InferenceServiceService } from "./generated/deltaplane/v1/inference.ts";
import { countTokens, disposeOpened, serve } from "./testing/running-service.ts";

afterEach(disposeOpened);

describe("a message that is none", () => {
  /** Sends raw bytes as a request. */
  function sendRaw(port: number, path: string, bytes: Buffer): Promise<ServiceError | null> {
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    return new Promise((resolve) => {
      client.makeUnaryRequest(
        path,
        () => bytes,
        (answer: Buffer) => answer,
        {},
        new Metadata(),
        (error) => {
          client.close();
          resolve(error);
        },
      );
    });
  }
  const path = "/deltaplane.v1.InferenceService/CountTokens";
  const bad: readonly (readonly [string, Buffer])[] = [
    ["invalid UTF-8", Buffer.from([0x0a, 2, 0xc3, 0x28])],
    ["half a surrogate pair in UTF-8", Buffer.from([0x0a, 3, 0xed, 0xa0, 0x80])],
    ["a length beyond the end", Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1])],
    ["a truncated field", Buffer.from([0x0a, 5, 0x61])],
    ["an endless varint", Buffer.alloc(30, 0xff)],
  ];

  it.each(bad)("%s is message_malformed, and never reaches the handler", async (_, bytes) => {
    let calls = 0;
    const { server, channel } = await serve({ inference: { countTokens: async () => ({ tokens: ++calls }) } });
    const error = await sendRaw(server.port, path, bytes);
    expect(error?.code).toBe(3);
    expect(error?.details).toContain("not valid protobuf");
    expect(await countTokens(channel)).toEqual({ tokens: 1 });
  });

  it("of random bytes never ends the server", async () => {
    const { server, channel } = await serve({ inference: { countTokens: async () => ({ tokens: 1 }) } });
    for (let seed = 1; seed <= 100; seed++) {
      const bytes = Buffer.from(Array.from({ length: seed }, (_, index) => (seed * 7919 + index * index * 104_729) % 256));
      const error = await sendRaw(server.port, path, bytes);
      expect([undefined, 3]).toContain(error?.code);
    }
    expect(await countTokens(channel)).toEqual({ tokens: 1 });
  });

  it("of 5 MB is message_too_large, and the connection lives on", async () => {
    const { channel } = await serve({ inference: { countTokens: async () => ({ tokens: 1 }) } });
    const huge = CountTokensRequest.create({ model: "x".repeat(5 * 1024 * 1024) });
    const sent = channel.unary(InferenceServiceService.countTokens, huge);
    await expect(sent).rejects.toMatchObject({ code: "resource_exhausted", reason: "message_too_large" });
    expect(await countTokens(channel)).toEqual({ tokens: 1 });
  });

  it("of a method that does not exist is op_unsupported", async () => {
    const { channel } = await serve({});
    const unknown = { ...InferenceServiceService.countTokens, path: "/deltaplane.v1.InferenceService/Nothing" };
    await expect(channel.unary(unknown, CountTokensRequest.create({}))).rejects.toMatchObject({ reason: "op_unsupported" });
  });

  it("nor any gRPC at all: plain bytes on the port leave the server as it was", async () => {
    const { server, channel } = await serve({ inference: { countTokens: async () => ({ tokens: 1 }) } });
    const socket = connect(server.port, "127.0.0.1");
    socket.on("error", () => undefined); // The server may reset the connection; that is one of the right answers.
    socket.resume();
    socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    await once(socket, "close");
    expect(await countTokens(channel)).toEqual({ tokens: 1 });
  });
});
