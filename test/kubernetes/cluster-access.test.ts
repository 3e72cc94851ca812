import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { systemClock } from "#kernel";
import { type KubernetesApi, openKubernetesApi, type Resource } from "#kubernetes";
import { createAuthority, hasOpenssl } from "../../proto/testing/certificates.ts";
import { TestApiServer } from "./api-server/api-server.ts";

const LEASES: Resource = { group: "coordination.k8s.io", version: "v1", plural: "leases", kind: "Lease" };
const folder = mkdtempSync(join(tmpdir(), "cluster-access-"));
afterAll(() => rmSync(folder, { recursive: true }));
const opened: AsyncDisposable[] = [];
afterEach(async () => {
  for (const part of opened.splice(0).reverse()) await part[Symbol.asyncDispose]();
});

interface Wish {
  readonly cluster: object;
  readonly user: object;
  readonly namespace?: string;
}

function open({ cluster, user, namespace }: Wish): KubernetesApi {
  const kubeconfig = join(folder, "kubeconfig");
  const context = { cluster: "one", user: "one", ...(namespace !== undefined && { namespace }) };
  const config = { clusters: [{ name: "one", cluster }], users: [{ name: "one", user }], contexts: [{ name: "one", context }] };
  writeFileSync(kubeconfig, JSON.stringify({ apiVersion: "v1", kind: "Config", ...config, "current-context": "one" }));
  const api = openKubernetesApi({ clock: systemClock }, { kubeconfig });
  opened.push(api);
  return api;
}

async function start(tls?: Parameters<typeof TestApiServer.start>[0]): Promise<TestApiServer> {
  const server = await TestApiServer.start(tls);
  opened.push(server);
  return server;
}

describe("the connection to an API server", () => {
  it.skipIf(!hasOpenssl())("trusts who the kubeconfig says, and nobody else", async () => {
    const authority = createAuthority(join(folder, "ca"));
    const { keyFile, certificateFile } = authority.issue({ name: "server" });
    const server = await start({ key: readFileSync(keyFile), cert: readFileSync(certificateFile) });
    const user = { token: server.token };
    const trusting = open({ cluster: { server: server.url, "certificate-authority": authority.caFile }, user });
    for (let call = 0; call < 3; call++) expect(await trusting.get(LEASES, "none")).toBeUndefined();
    const other = createAuthority(join(folder, "other-ca"));
    const strict = open({ cluster: { server: server.url, "certificate-authority": other.caFile }, user });
    await expect(strict.get(LEASES, "none")).rejects.toMatchObject({ reason: "store_unreachable" });
  });

  it("is refused with the wrong token, and takes one from a file", async () => {
    const server = await start();
    const cluster = { server: server.url, "insecure-skip-tls-verify": true };
    await expect(open({ cluster, user: { token: "another" } }).get(LEASES, "none")).rejects.toMatchObject({ reason: "key_unknown" });
    const tokenFile = join(folder, "token");
    writeFileSync(tokenFile, server.token);
    const user = { "auth-provider": { name: "tokenFile", config: { tokenFile } } };
    expect(await open({ cluster, user }).get(LEASES, "none")).toBeUndefined();
  });

  it("takes the namespace of the context, or default", async () => {
    const server = await start();
    const wish = { cluster: { server: server.url, "insecure-skip-tls-verify": true }, user: { token: server.token } };
    expect(open(wish).namespace).toBe("default");
    expect(open({ ...wish, namespace: "models" }).namespace).toBe("models");
  });

  it("ends its calls when it is closed, and says so", async () => {
    const server = await start();
    server.faults.silent = true;
    const api = open({ cluster: { server: server.url, "insecure-skip-tls-verify": true }, user: { token: server.token } });
    const call = api.get(LEASES, "none").catch((error: unknown) => error);
    await systemClock.after(50);
    await api[Symbol.asyncDispose]();
    expect(await call).toMatchObject({ reason: "shutting_down" });
  });

  it("lists what has more than one page", async () => {
    const server = await start();
    const api = open({ cluster: { server: server.url, "insecure-skip-tls-verify": true }, user: { token: server.token } });
    const names = Array.from({ length: 501 }, (_, index) => `lease-${String(index).padStart(3, "0")}`);
    await Promise.all(names.map((name) => api.create(LEASES, { metadata: { name } })));
    const { items } = await api.list(LEASES, {});
    expect(items.map(({ metadata }) => metadata.name)).toEqual(names);
    expect(server.requests.filter((request) => request.startsWith("GET"))).toHaveLength(2);
  });

  it("is refused without a cluster: outside a pod, or with a file that is none", () => {
    expect(() => openKubernetesApi({ clock: systemClock }, {})).toThrow(expect.objectContaining({ reason: "parameter_invalid" }));
    const missing = { kubeconfig: join(folder, "missing") };
    expect(() => openKubernetesApi({ clock: systemClock }, missing)).toThrow(expect.objectContaining({ reason: "file_missing" }));
    writeFileSync(join(folder, "nonsense"), "{{{");
    const malformed = { kubeconfig: join(folder, "nonsense") };
    expect(() => openKubernetesApi({ clock: systemClock }, malformed)).toThrow(expect.objectContaining({ reason: "file_malformed" }));
  });
});
