import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type Clock, systemClock } from "#kernel";
import { createAuthority, hasOpenssl } from "../testing/certificates.ts";
import { requireIdentity } from "./certificate.ts";
import { type CertificateWatchOptions, watchCertificate } from "./certificate-watch.ts";

const folder = mkdtempSync(join(tmpdir(), "deltaplane-certificates-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const LOOK_MS = 10;

/** A watch with what it told. */
async function watch(options: CertificateWatchOptions, clock: Clock = systemClock) {
  const told: string[] = [];
  const log = { info: () => undefined, warn: () => undefined, error: (_: object, message: string) => void told.push(message) };
  const watched = await watchCertificate({ clock, log, onReload: (result) => told.push(result) }, { lookMs: LOOK_MS, ...options });
  return Object.assign(watched, { told });
}

describe.skipIf(!hasOpenssl())("a certificate that is watched", () => {
  it("is replaced when the files are, and tells whoever listens", async () => {
    const authority = createAuthority(join(folder, "replaced"));
    await using watched = await watch(authority.issue({ component: "router" }));
    const heard: Buffer[] = [];
    watched.listen(({ certificate }) => heard.push(certificate));
    const { certificateFile } = authority.issue({ component: "router" });
    await expect.poll(() => heard.length).toBe(1);
    expect(watched.current.certificate).toEqual(readFileSync(certificateFile));
  });

  it("is replaced when a link is turned to another folder, as Kubernetes does it", async () => {
    const authority = createAuthority(join(folder, "linked"));
    const mount = join(folder, "mount");
    const version = (name: string) => {
      const files = authority.issue({ component: "scheduler", name });
      mkdirSync(join(mount, `..${name}`), { recursive: true });
      cpSync(files.certificateFile, join(mount, `..${name}`, "tls.crt"));
      cpSync(files.keyFile, join(mount, `..${name}`, "tls.key"));
      cpSync(files.caFile, join(mount, `..${name}`, "ca.crt"));
      symlinkSync(`..${name}`, join(mount, "..data_tmp"));
      renameSync(join(mount, "..data_tmp"), join(mount, "..data"));
    };
    version("one");
    for (const name of ["tls.crt", "tls.key", "ca.crt"]) symlinkSync(`..data/${name}`, join(mount, name));
    const [certificateFile, keyFile, caFile] = ["tls.crt", "tls.key", "ca.crt"].map((name) => join(mount, name));
    await using watched = await watch({ certificateFile: certificateFile!, keyFile: keyFile!, caFile: caFile! });
    const first = watched.current;
    version("two");
    await expect.poll(() => watched.current).not.toBe(first);
    expect(watched.told).toEqual(["loaded"]);
  });

  it("stays the old one while its files are half written, and says so once", async () => {
    const authority = createAuthority(join(folder, "torn"));
    const files = authority.issue({ component: "router" });
    await using watched = await watch(files);
    const first = watched.current;
    truncateSync(files.certificateFile, first.certificate.length - 40);
    await expect.poll(() => watched.told).toEqual([expect.stringContaining("holds no whole certificates"), "refused"]);
    await systemClock.after(5 * LOOK_MS);
    expect(watched.current).toBe(first);
    expect(watched.told).toHaveLength(2);
    writeFileSync(files.certificateFile, first.certificate);
    authority.issue({ component: "router" });
    await expect.poll(() => watched.current).not.toBe(first);
  });

  it.each([
    ["has expired", { component: "router", until: new Date(Date.now() - 1_000) }, "expired on"],
    ["is not yet in force", { component: "router", from: new Date(Date.now() + 60_000) }, "is in force only from"],
    ["is another part's", { component: "trainer", name: "router" }, "is not a router's"],
  ] as const)("stays the old one when the new one %s", async (what, wish, message) => {
    const authority = createAuthority(join(folder, what.replaceAll(" ", "-")));
    const files = authority.issue({ component: "router" });
    await using watched = await watch({ ...files, check: (latest) => requireIdentity(latest, "router", files.certificateFile) });
    const first = watched.current;
    authority.issue(wish);
    await expect.poll(() => watched.told.at(-1)).toBe("refused");
    expect(watched.told[0]).toContain(message);
    expect(watched.current).toBe(first);
  });

  it("stays the old one when the new one is of another CA, or its key is another's", async () => {
    const authority = createAuthority(join(folder, "own"));
    const stranger = createAuthority(join(folder, "stranger")).issue({ component: "router" });
    const files = authority.issue({ component: "router" });
    await using watched = await watch(files);
    const first = watched.current;
    cpSync(stranger.certificateFile, files.certificateFile);
    await expect.poll(() => watched.told[0]).toContain("is not the key of the certificate");
    cpSync(stranger.keyFile, files.keyFile);
    await expect.poll(() => watched.told.at(-2)).toContain("was not signed by the CA");
    expect(watched.current).toBe(first);
  });

  it("does not begin without one that is good", async () => {
    const files = createAuthority(join(folder, "expired")).issue({ component: "router", until: new Date(Date.now() - 1_000) });
    await expect(watch(files)).rejects.toMatchObject({ reason: "file_malformed", detail: { file: files.certificateFile } });
    await expect(watch({ ...files, keyFile: join(folder, "none") })).rejects.toMatchObject({ reason: "file_missing" });
  });
});
