import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Component, systemClock } from "#kernel";
import { type GrpcChannel, openChannel, openClusterChannel } from "../channel.ts";
import { type CertificateAuthority, type CertificateWish, createAuthority, hasOpenssl } from "../testing/certificates.ts";
import { countTokens, disposeOpened, generate, opened, piece, serve } from "../testing/running-service.ts";
import { type CertificateFiles, readCertificate } from "./certificate.ts";
import { type CertificateSource, watchCertificate } from "./certificate-watch.ts";
import { readRoots } from "./credentials.ts";

const folder = mkdtempSync(join(tmpdir(), "deltaplane-mutual-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(disposeOpened);

const QUIET = { info: () => undefined, warn: () => undefined, error: () => undefined };
const answers = { inference: { countTokens: async () => ({ tokens: 3 }) } };

async function watched(files: CertificateFiles): Promise<CertificateSource> {
  const source = await watchCertificate({ clock: systemClock, log: QUIET }, { ...files, lookMs: 10 });
  opened.push(source);
  return source;
}

/** Also of what no part would begin with: an expired certificate. */
async function fixed(files: CertificateFiles, now = Date.now()): Promise<CertificateSource> {
  return { current: await readCertificate(files, now), listen: () => () => undefined };
}

const channelFrom = (tls: CertificateSource, port: number, to: Component = "node-agent"): GrpcChannel => {
  const channel = openClusterChannel(systemClock, { clusterKey: "secret", tls }, to, `127.0.0.1:${port}`);
  opened.push(channel);
  return channel;
};

describe.skipIf(!hasOpenssl())("between the parts of a cluster", () => {
  let authority: CertificateAuthority;
  beforeAll(() => {
    authority = createAuthority(join(folder, "cluster"));
  });
  const callers = (path: string): readonly Component[] => (path.endsWith("/CountTokens") ? ["router", "scheduler"] : ["router"]);

  /** A server that is a node agent. */
  async function node(handlers: Parameters<typeof serve>[0] = answers, wish: CertificateWish = { component: "node-agent" }) {
    const certificate = await watched(authority.issue(wish));
    const { server } = await serve(handlers, { tls: { kind: "mutual", certificate, callers } });
    return server;
  }

  it("each method answers the parts that may call it, and no others", async () => {
    const { port } = await node();
    const from = async (component: Component) => countTokens(channelFrom(await watched(authority.issue({ component })), port));
    expect(await from("router")).toEqual({ tokens: 3 });
    expect(await from("scheduler")).toEqual({ tokens: 3 });
    await expect(from("trainer")).rejects.toMatchObject({ reason: "peer_refused", message: expect.stringContaining("a trainer may not") });
    const scheduler = channelFrom(await watched(authority.issue({ component: "scheduler" })), port);
    await expect(generate(scheduler).next()).rejects.toMatchObject({ reason: "peer_refused" });
  });

  it("a certificate of the CA without an identity opens nothing", async () => {
    const { port } = await node();
    const nobody = channelFrom(await watched(authority.issue({ name: "nobody" })), port);
    await expect(countTokens(nobody)).rejects.toMatchObject({ reason: "peer_refused" });
  });

  it("nobody comes in without a certificate, in the clear, or with another CA's", async () => {
    const { port } = await node();
    const address = `127.0.0.1:${port}`;
    const without = openChannel({
      address: `localhost:${port}`,
      clock: systemClock,
      tls: { kind: "roots", roots: readRoots(authority.caFile) },
    });
    const clear = openChannel({ address, clock: systemClock });
    opened.push(without, clear);
    const other = createAuthority(join(folder, "other")).issue({ component: "router" });
    // It believes our CA, so that only the server has something against it.
    const strange = { ...(await fixed({ certificateFile: other.certificateFile, keyFile: other.keyFile })).current };
    const source = { current: { ...strange, ca: readRoots(authority.caFile) }, listen: () => () => undefined };
    for (const channel of [without, clear, channelFrom(source, port)]) {
      await expect(countTokens(channel, { timeoutMs: 5_000 })).rejects.toMatchObject({ code: "unavailable" });
    }
  });

  it("nobody comes in with an expired certificate", async () => {
    const { port } = await node();
    const files = authority.issue({ component: "router", name: "late", until: new Date(Date.now() - 1_000) });
    const expired = channelFrom(await fixed(files, Date.now() - 60_000), port);
    await expect(countTokens(expired)).rejects.toMatchObject({ code: "unavailable" });
  });

  it("a client does not speak to another CA's server, nor to another part than it means", async () => {
    const own = await watched(authority.issue({ component: "router" }));
    const trainer = await node(answers, { component: "trainer" });
    await expect(countTokens(channelFrom(own, trainer.port))).rejects.toMatchObject({ code: "unavailable" });
    const stranger = await fixed(createAuthority(join(folder, "strange")).issue({ component: "node-agent" }));
    const { server } = await serve(answers, { tls: { kind: "mutual", certificate: stranger, callers } });
    await expect(countTokens(channelFrom(own, server.port))).rejects.toMatchObject({ code: "unavailable" });
  });

  it("a stream goes on while both certificates are replaced, and new connections use the new CA", async () => {
    const gate = Promise.withResolvers<void>();
    const next = createAuthority(join(folder, "next"));
    const certificates = { node: authority.issue({ component: "node-agent" }), router: authority.issue({ component: "router" }) };
    const sources = { node: replaceable(await fixed(certificates.node)), router: replaceable(await fixed(certificates.router)) };
    const handlers = {
      inference: {
        ...answers.inference,
        async *generate() {
          yield piece("before");
          await gate.promise;
          yield piece("after");
        },
      },
    };
    const { server } = await serve(handlers, { tls: { kind: "mutual", certificate: sources.node, callers } });
    const stream = generate(channelFrom(sources.router, server.port));
    expect((await stream.next()).value).toMatchObject({ text: "before" });

    sources.node.replace((await fixed(next.issue({ component: "node-agent" }))).current);
    sources.router.replace((await fixed(next.issue({ component: "router" }))).current);
    expect(await countTokens(channelFrom(sources.router, server.port))).toEqual({ tokens: 3 });
    const old = channelFrom(await fixed(certificates.router), server.port);
    await expect(countTokens(old)).rejects.toMatchObject({ code: "unavailable" });
    gate.resolve();
    expect((await stream.next()).value).toMatchObject({ text: "after" });
    expect((await stream.next()).done).toBe(true);
  });
});

describe.skipIf(!hasOpenssl())("for customers", () => {
  it("a server shows its certificate and asks for none", async () => {
    const authority = createAuthority(join(folder, "public"));
    const { certificateFile, keyFile } = authority.issue({ name: "public" });
    const certificate = await watched({ certificateFile, keyFile });
    const { server } = await serve(answers, { tls: { kind: "server", certificate } });
    const address = `localhost:${server.port}`;
    const trusting = openChannel({ address, clock: systemClock, tls: { kind: "roots", roots: readRoots(authority.caFile) } });
    const doubting = openChannel({ address, clock: systemClock, tls: { kind: "roots" } });
    opened.push(trusting, doubting);
    expect(await countTokens(trusting)).toEqual({ tokens: 3 });
    await expect(countTokens(doubting, { timeoutMs: 5_000 })).rejects.toMatchObject({ code: "unavailable" });
  });
});

function replaceable(first: CertificateSource) {
  const listeners = new Set<Parameters<CertificateSource["listen"]>[0]>();
  let { current } = first;
  return {
    get current() {
      return current;
    },
    listen(listener: Parameters<CertificateSource["listen"]>[0]) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    replace(latest: typeof current) {
      current = latest;
      for (const listener of listeners) listener(latest);
    },
  };
}
