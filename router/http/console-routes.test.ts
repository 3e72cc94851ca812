import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import fastify, { type FastifyInstance } from "fastify";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addConsoleRoutes, readConsole } from "./console-routes.ts";

const SCRIPT = "console.log('hello');\n".repeat(100);

let directory: string;
let server: FastifyInstance;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "deltaplane-console-"));
  await mkdir(join(directory, "assets"));
  await writeFile(join(directory, "index.html"), "<!doctype html><title>Console</title>");
  await writeFile(join(directory, "assets/index-1a2b.js"), SCRIPT);
  server = fastify();
  addConsoleRoutes(server, await readConsole(directory));
});
afterAll(async () => {
  await server.close();
  await rm(directory, { recursive: true });
});

const get = (url: string, headers: Record<string, string> = {}) => server.inject({ method: "GET", url, headers });

describe("the console's files", () => {
  it("come with a policy that runs nothing but our own scripts", async () => {
    const { statusCode, headers } = await get("/");
    expect(statusCode).toBe(200);
    expect(headers["content-type"]).toBe("text/html; charset=utf-8");
    const policy = String(headers["content-security-policy"]);
    for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "trusted-types 'none'"])
      expect(policy).toContain(rule);
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    expect(headers["x-content-type-options"]).toBe("nosniff");
    expect(headers["referrer-policy"]).toBe("no-referrer");
  });

  it("are kept for ever by those who asked, but for the page itself, which is asked for each time", async () => {
    const [page, script] = [await get("/"), await get("/assets/index-1a2b.js")];
    expect(page.headers["cache-control"]).toBe("no-cache");
    expect(script.headers["cache-control"]).toContain("immutable");
    const again = await get("/", { "if-none-match": String(page.headers["etag"]) });
    expect([again.statusCode, again.body]).toEqual([304, ""]);
  });

  it("are compressed for who takes that, and only then", async () => {
    const ask = async (encoding: string) => get("/assets/index-1a2b.js", { "accept-encoding": encoding });
    const [best, older, refused, plain] = [
      await ask("gzip, deflate, br, zstd"),
      await ask("gzip"),
      await ask("br;q=0, gzip;q=0.0"),
      await ask(""),
    ];
    expect(best.headers["content-encoding"]).toBe("br");
    expect(brotliDecompressSync(best.rawPayload).toString()).toBe(SCRIPT);
    expect(older.headers["content-encoding"]).toBe("gzip");
    expect(gunzipSync(older.rawPayload).toString()).toBe(SCRIPT);
    for (const answer of [refused, plain]) expect([answer.headers["content-encoding"], answer.body]).toEqual([undefined, SCRIPT]);
    for (const answer of [best, plain]) expect(answer.headers["vary"]).toBe("accept-encoding");
  });

  it("are these and no others: no path leads out of the folder", async () => {
    for (const path of ["/assets/none.js", "/assets/..%2findex.html", "/assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/assets/__proto__"])
      expect((await get(path)).statusCode, path).not.toBe(200);
  });

  it("are missed where they are to be read, not by who asks", async () => {
    await expect(readConsole(join(directory, "nowhere"))).rejects.toMatchObject({ reason: "file_missing" });
    await writeFile(join(directory, "assets/what.exe"), "");
    await expect(readConsole(directory)).rejects.toMatchObject({ reason: "file_malformed" });
  });
});
