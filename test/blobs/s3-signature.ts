import { createHash, createHmac, type Hash, type Hmac } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { SignatureV4 } from "@smithy/signature-v4";

export const ACCESS_KEY = { accessKeyId: "AKIATESTTESTTESTTEST", secretAccessKey: "a-secret-of-the-test-server" };
export const REGION = "us-east-1";

/** What the signer wants of a hash: plain or keyed SHA-256. */
class Sha256 {
  #hash: Hash | Hmac;
  readonly #secret: string | Uint8Array | undefined;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret === undefined ? undefined : typeof secret === "string" ? secret : new Uint8Array(secret as ArrayBuffer);
    this.#hash = this.#fresh();
  }

  update(data: Uint8Array): void {
    this.#hash.update(data);
  }

  async digest(): Promise<Uint8Array> {
    return new Uint8Array(this.#hash.digest());
  }

  reset(): void {
    this.#hash = this.#fresh();
  }

  #fresh(): Hash | Hmac {
    return this.#secret === undefined ? createHash("sha256") : createHmac("sha256", this.#secret);
  }
}

const signer = new SignatureV4({
  service: "s3",
  region: REGION,
  credentials: ACCESS_KEY,
  sha256: Sha256,
  uriEscapePath: false,
  applyChecksum: false,
});

/** Signs what came once more, with the SDK's own signer, over the headers that its sender signed: the signatures must be one. */
export async function isSigned(request: IncomingMessage): Promise<boolean> {
  const [, signedHeaders] = /SignedHeaders=([^,]+),/.exec(request.headers.authorization ?? "") ?? [];
  const date = String(request.headers["x-amz-date"] ?? "");
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? [];
  if (signedHeaders === undefined || parts.length === 0) return false;
  const url = new URL(request.url!, `http://${request.headers.host}`);
  const headers = Object.fromEntries(signedHeaders.split(";").map((name) => [name, String(request.headers[name] ?? "")]));
  const [year, month, day, hour, minute, second] = parts.map(Number) as [number, number, number, number, number, number];
  const signed = await signer.sign(
    {
      ...{ method: request.method!, protocol: "http:", hostname: url.hostname, port: Number(url.port), path: url.pathname },
      ...{ query: Object.fromEntries(url.searchParams), headers },
    },
    { signingDate: new Date(Date.UTC(year, month - 1, day, hour, minute, second)) },
  );
  return signed.headers["authorization"] === request.headers.authorization;
}
