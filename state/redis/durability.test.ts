import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { systemClock } from "#kernel";
import { openRedisStore, type RedisStoreOptions } from "./store.ts";
import { describeUnless } from "./testing/describe-unless.ts";
import { freePort } from "./testing/free-port.ts";
import { rawCommand } from "./testing/raw-command.ts";
import { binary, DURABLE, redisMissing, startRedisServer } from "./testing/redis-server.ts";

const open = (url: string, options?: RedisStoreOptions) => openRedisStore(url, { clock: systemClock }, { openMs: 1_000, ...options });

async function weaknessesWith(...options: string[]): Promise<readonly string[]> {
  await using server = await startRedisServer(options);
  await using store = await open(server.url);
  return store.weaknesses;
}

describeUnless(redisMissing(), "opening a Redis store", () => {
  it("names no weakness when every write is on disk before its reply", async () => {
    expect(await weaknessesWith(...DURABLE)).toEqual([]);
  });

  it.each([
    [["--appendonly", "no"], /^appendonly is off/],
    [["--appendonly", "yes", "--appendfsync", "everysec"], /^appendfsync is everysec: a power cut loses the last second/],
    [["--appendonly", "yes", "--appendfsync", "no"], /^appendfsync is no: a power cut loses what the system had not yet written/],
    [[...DURABLE, "--no-appendfsync-on-rewrite", "yes"], /^no-appendfsync-on-rewrite is on/],
    [[...DURABLE, "--maxmemory-policy", "allkeys-lru"], /^maxmemory-policy is allkeys-lru/],
    [["--rename-command", "CONFIG", ""], /^CONFIG is forbidden/],
  ])("%j is named", async (options, weakness) => {
    expect(await weaknessesWith(...options)).toEqual([expect.stringMatching(weakness)]);
  });

  it("names replicas, and refuses to write to one", async () => {
    await using primary = await startRedisServer([...DURABLE, "--repl-diskless-sync-delay", "0"]);
    await using replica = await startRedisServer(["--replicaof", "127.0.0.1", String(primary.port)]);
    while (!(await rawCommand(primary.port, "INFO", "replication")).includes("state=online")) await systemClock.after(50);
    await using store = await open(primary.url);
    expect(store.weaknesses).toEqual([expect.stringMatching(/^Redis has replicas/)]);
    await expect(open(replica.url)).rejects.toMatchObject({ reason: "store_unreachable", message: expect.stringContaining("replica") });
  });

  it("refuses a node of a cluster under the URL of a single server", async () => {
    await using server = await startRedisServer(["--cluster-enabled", "yes"]);
    await expect(open(server.url)).rejects.toMatchObject({
      reason: "parameter_invalid",
      message: expect.stringContaining("redis-cluster://"),
    });
  });

  it("signs in with the password of the URL, and says when it is wrong or missing, not what it is", async () => {
    await using server = await startRedisServer([...DURABLE, "--requirepass", "p@ss"]);
    const url = (user: string) => `redis://${user}127.0.0.1:${server.port}`;
    await using store = await open(url(":p%40ss@"));
    expect(await store.records.list("")).toEqual([]);
    const refused = (why: string) => ({ reason: "store_unreachable", message: expect.stringContaining(why) });
    await expect(open(url(":wrong@"))).rejects.toMatchObject(refused("WRONGPASS"));
    await expect(open(url(":wrong@"))).rejects.not.toMatchObject(refused("wrong@"));
    await expect(open(url(""))).rejects.toMatchObject(refused("NOAUTH"));
  });

  it("speaks TLS, and trusts nobody else", async (test) => {
    const withoutTls = tlsMissing();
    if (withoutTls !== undefined) test.skip(withoutTls);
    const folder = mkdtempSync(join(tmpdir(), "deltaplane-tls-"));
    try {
      const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
      const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
      const files = ["-keyout", key, "-out", certificate];
      execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...subject, ...files], { stdio: "ignore" });
      const port = await freePort();
      const tls = ["--tls-port", String(port), "--tls-cert-file", certificate, "--tls-key-file", key];
      await using _server = await startRedisServer([...DURABLE, ...tls, "--tls-ca-cert-file", certificate, "--tls-auth-clients", "no"]);
      await using store = await open(`rediss://127.0.0.1:${port}`, { ca: readFileSync(certificate, "utf8") });
      expect(await store.records.putIf("a", 1, undefined)).toMatchObject({ kind: "put" });
      await expect(open(`rediss://127.0.0.1:${port}`)).rejects.toMatchObject({ message: expect.stringContaining("self-signed") });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("refuses braces in the prefix, for they decide where a cluster keeps a key", async () => {
    await expect(open("redis://127.0.0.1:1", { prefix: "{a}" })).rejects.toMatchObject({ reason: "parameter_invalid" });
  });
});

it("refuses a server that is too old", async () => {
  const info = "redis_version:6.0.16\r\nrole:master\r\nloading:0\r\n";
  const old = createServer((socket) =>
    socket.on("data", (bytes) => {
      for (const [name] of String(bytes).matchAll(/\r\n(info|INFO|client)\r\n/g))
        socket.write(name.includes("client") ? "+OK\r\n" : `$${info.length}\r\n${info}\r\n`);
    }),
  );
  await new Promise<void>((resolve) => old.listen(0, "127.0.0.1", resolve));
  const { port } = old.address() as { port: number };
  await expect(open(`redis://127.0.0.1:${port}`)).rejects.toMatchObject({
    reason: "parameter_unsupported",
    message: expect.stringContaining("6.0.16; 6.2 or later"),
  });
  old.close();
});

/** Why TLS cannot be tested here. */
function tlsMissing(): string | undefined {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
  } catch {
    return "openssl is not installed";
  }
  const libraries = String(execFileSync(binary("redis-cli"), ["--help"], { encoding: "utf8" }));
  return libraries.includes("--tls") ? undefined : "this redis-server was built without TLS";
}
