import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { systemClock } from "#kernel";
import { InferenceServiceService, openChannel, readRoots, watchCertificate } from "#proto";
import { createAuthority, hasOpenssl } from "../../proto/testing/certificates.ts";
import { runRouter } from "../../router/testing/running-router.ts";

test("the customers' doors show a certificate, and the next one once it was replaced", async (context) => {
  context.skip(!hasOpenssl(), "there is no openssl command");
  const folder = mkdtempSync(join(tmpdir(), "deltaplane-public-"));
  using _removed = { [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
  const authority = createAuthority(folder);
  const { certificateFile, keyFile, caFile } = authority.issue({ name: "public" });
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  await using publicTls = await watchCertificate({ clock: systemClock, log }, { certificateFile, keyFile, lookMs: 10 });
  await using under = await runRouter({}, { httpListen: "127.0.0.1:0", publicTls });
  const roots = readRoots(caFile);
  const { httpPort, grpcPort } = under.router;
  const first = await shownBy(httpPort!, roots);
  await using channel = openChannel({ address: `localhost:${grpcPort}`, clock: systemClock, tls: { kind: "roots", roots } });
  const asked = channel.unary(InferenceServiceService.countTokens, { model: "demo-base", prompt: undefined });
  await expect(asked).rejects.toMatchObject({ reason: "key_missing" }); // Nobody asks for a client's certificate.
  authority.issue({ name: "public" });
  await expect.poll(() => shownBy(httpPort!, roots)).not.toBe(first);
});

/** The fingerprint of the certificate that a server shows to a new connection. */
function shownBy(port: number, ca: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ host: "localhost", port, path: "/healthz", ca, agent: false }, (response) => {
      response.resume();
      resolve((response.socket as TLSSocket).getPeerCertificate().fingerprint256);
    });
    call.once("error", reject).end();
  });
}
