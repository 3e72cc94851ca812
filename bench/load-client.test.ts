import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { loadFigures, runLoad } from "./load-client.ts";

let server: Server | undefined;
afterEach(() => server?.close());

/** A server that answers every completion with the given events, split in the middle of a line. */
async function serve(events: string): Promise<string> {
  server = createServer((request, response) => {
    request.resume().on("end", () => {
      response.write(events.slice(0, 30));
      setImmediate(() => response.end(events.slice(30)));
    });
  });
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const piece = (text: string) => `data: {"object":"text_completion","choices":[{"index":0,"text":"${text}","finish_reason":null}]}\n\n`;
const usage = 'data: {"choices":[],"usage":{"prompt_tokens":64,"completion_tokens":2}}\n\n';
const requests = [1, 2, 3].map(() => ({ model: "base", prompt: "hello", maxTokens: 2 }));

test("pieces are timed and tokens are taken from the usage, however the bytes arrive", async () => {
  const url = await serve(`${piece("a")}${piece("b")}${piece("")}${usage}data: [DONE]\n\n`);
  const result = await runLoad({ url, key: "key", inFlight: 2, requests });
  expect(result.requests.map(({ piecesMs, completionTokens }) => [piecesMs.length, completionTokens])).toEqual([
    [2, 2],
    [2, 2],
    [2, 2],
  ]);
  expect(loadFigures(result).tokensPerSecond).toBeGreaterThan(0);
});

test("a stream without its end fails the whole load", async () => {
  const url = await serve(piece("a"));
  await expect(runLoad({ url, key: "key", inFlight: 1, requests })).rejects.toThrow("load client ended");
});
