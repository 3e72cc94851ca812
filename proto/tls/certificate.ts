import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Fault, type Millis } from "#kernel";
import { componentOf } from "./identity.ts";

/** Where a certificate lies, as PEM. */
export interface CertificateFiles {
  /** The own one first, then those between it and the CA. */
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Of whoever must have signed the other side's, and our own. Absent where clients show none. */
  readonly caFile?: string;
}

/** A certificate that was whole, in force and fitting when it was read. */
export interface Certificate {
  readonly certificate: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer | undefined;
  /** When the first of its chain expires, milliseconds since the epoch. */
  readonly expiresAt: Millis;
  /** The `subjectAltName`, as Node prints it. */
  readonly names: string | undefined;
}

/** @throws Fault file_missing, or file_malformed for what is torn, out of its time, or does not fit together: with the file's name. */
export async function readCertificate(files: CertificateFiles, now: Millis): Promise<Certificate> {
  const [certificate, key, ca] = await Promise.all([read(files.certificateFile), read(files.keyFile), files.caFile && read(files.caFile)]);
  const chain = parseChain(certificate, files.certificateFile);
  const own = chain[0]!;
  for (const each of chain) requireInForce(each, files.certificateFile, now);
  if (!own.checkPrivateKey(parseKey(key, files.keyFile))) throw malformed(files.keyFile, "is not the key of the certificate");
  if (ca) requireSigned(chain.at(-1)!, parseChain(ca, files.caFile!), files.certificateFile);
  const expiresAt = Math.min(...chain.map((each) => each.validToDate.getTime()));
  return { certificate, key, ca: ca || undefined, expiresAt, names: own.subjectAltName };
}

/** @throws Fault file_malformed when a part of the cluster was given another's certificate */
export function requireIdentity({ names }: Certificate, component: string, file: string): void {
  if (componentOf(names) === component) return;
  throw malformed(file, `is not a ${component}'s: it has the names ${names ?? "(none)"}, and not spiffe://deltaplane/${component}`);
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function parseChain(pem: Buffer, file: string): readonly X509Certificate[] {
  const text = pem.toString("latin1");
  const blocks = text.match(PEM) ?? [];
  // A block whose end is still being written matches nothing: then there are more beginnings than blocks.
  if (blocks.length === 0 || blocks.length !== text.split("-----BEGIN ").length - 1) throw malformed(file, "holds no whole certificates");
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (cause) {
    throw malformed(file, "holds something that is no certificate", cause);
  }
}

function parseKey(pem: Buffer, file: string) {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw malformed(file, "holds no whole private key", cause);
  }
}

function requireInForce({ validFromDate, validToDate }: X509Certificate, file: string, now: Millis): void {
  if (validToDate.getTime() <= now) throw malformed(file, `expired on ${validToDate.toISOString()}`);
  if (validFromDate.getTime() > now) throw malformed(file, `is in force only from ${validFromDate.toISOString()}`);
}

function requireSigned(last: X509Certificate, authorities: readonly X509Certificate[], file: string): void {
  const signed = authorities.some((authority) => last.checkIssued(authority) && last.verify(authority.publicKey));
  if (!signed) throw malformed(file, "was not signed by the CA");
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new Fault("file_missing", `${file} cannot be read`, { detail: { file }, cause });
  }
}

function malformed(file: string, what: string, cause?: unknown): Fault {
  return new Fault("file_malformed", `${file} ${what}`, { detail: { file }, ...(cause !== undefined && { cause }) });
}
