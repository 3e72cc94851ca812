import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Component } from "#kernel";
import type { CertificateFiles } from "../tls/certificate.ts";
import { identityOf } from "../tls/identity.ts";

/** Whether this machine can make certificates; tests that need some are skipped where it cannot, and say so. */
export function hasOpenssl(): boolean {
  return spawnSync("openssl", ["version"], { stdio: "ignore" }).status === 0;
}

export interface CertificateWish {
  /** What it vouches for; nothing when absent. */
  readonly component?: Component;
  /** Below the authority's folder. Default: the component. */
  readonly name?: string;
  readonly from?: Date;
  readonly until?: Date;
}

/** A CA in a folder of its own, with the `openssl` command: `ca.pem`, and `<name>.pem` with `<name>.key` for all that it signs. */
export interface CertificateAuthority {
  readonly caFile: string;
  /** Signs a new certificate for loopback addresses; the same name again replaces the files. */
  issue(wish: CertificateWish): Required<CertificateFiles>;
}

const DAY_MS = 86_400_000;
const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
const AUTHORITY_CONFIG = `
[ca]
default_ca = default
[default]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = policy
unique_subject = no
copy_extensions = copy
[policy]
commonName = optional
`;

export function createAuthority(folder: string): CertificateAuthority {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "ca.cnf"), AUTHORITY_CONFIG);
  writeFileSync(join(folder, "index.txt"), "");
  const openssl = (...args: readonly string[]) => {
    const { status, stderr } = spawnSync("openssl", args, { cwd: folder, encoding: "utf8" });
    if (status !== 0) throw new Error(`openssl ${args.join(" ")} ended with ${status}: ${stderr}`);
  };
  const basic = ["-addext", "basicConstraints=critical,CA:TRUE"];
  openssl("req", "-x509", ...NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=deltaplane-test", "-days", "30", ...basic);
  const caFile = join(folder, "ca.pem");
  return {
    caFile,
    issue({ component, name = component ?? "nobody", from = new Date(Date.now() - DAY_MS), until = new Date(Date.now() + DAY_MS) }) {
      const uri = component === undefined ? [] : [`URI:${identityOf(component)}`];
      const names = ["DNS:localhost", "IP:127.0.0.1", ...uri].join(",");
      const [request, key, certificate] = [`${name}.csr`, `${name}.key`, `${name}.pem`];
      openssl("req", "-new", ...NEW_KEY, "-keyout", key, "-out", request, "-subj", `/CN=${name}`, "-addext", `subjectAltName=${names}`);
      const term = ["-startdate", asn1Time(from), "-enddate", asn1Time(until)];
      openssl(
        ...["ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-notext"],
        ...["-in", request, "-out", certificate, ...term],
      );
      return { certificateFile: join(folder, certificate), keyFile: join(folder, key), caFile };
    },
  };
}

/** `20261123101500Z` */
function asn1Time(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace(/\D/g, "")}Z`;
}
