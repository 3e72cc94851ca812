import { readFileSync } from "node:fs";
import { type ChannelCredentials, credentials, experimental, ServerCredentials } from "@grpc/grpc-js";
import { type Component, Fault } from "#kernel";
import type { CertificateSource } from "./certificate-watch.ts";
import { componentOf } from "./identity.ts";

/** How a server proves who it is. */
export type ServerTls =
  /** To the cluster's own parts, who prove who they are. `callers`: who may call a method, by its path; default {@link callersOf}. */
  | { readonly kind: "mutual"; readonly certificate: CertificateSource; readonly callers?: (path: string) => readonly Component[] }
  /** To whoever comes. */
  | { readonly kind: "server"; readonly certificate: CertificateSource };

/** What a channel asks of the server. */
export type ChannelTls =
  /** A certificate of the cluster's CA that says which part the server is; ours is shown to it. */
  | { readonly kind: "mutual"; readonly certificate: CertificateSource; readonly server: Component }
  /** A certificate for its host name, signed by one of the roots: the system's when absent, as PEM. */
  | { readonly kind: "roots"; readonly roots?: Buffer };

export function serverCredentials(tls: ServerTls | undefined): ServerCredentials {
  if (!tls) return ServerCredentials.createInsecure();
  const provider = new SourceProvider(tls.certificate);
  const mutual = tls.kind === "mutual";
  // The first is who we are, the second is whom we believe, whatever grpc-js calls its parameters.
  return experimental.createCertificateProviderServerCredentials(provider, mutual ? provider : null, mutual);
}

export function channelCredentials(tls: ChannelTls | undefined): ChannelCredentials {
  if (!tls) return credentials.createInsecure();
  if (tls.kind === "roots") return credentials.createSsl(tls.roots ?? null);
  const provider = new SourceProvider(tls.certificate);
  const checkServerIdentity = (_host: string, { subjectaltname }: { readonly subjectaltname?: string }) => {
    if (componentOf(subjectaltname) === tls.server) return undefined;
    return new Error(`the server is no ${tls.server}: its certificate has the names ${subjectaltname ?? "(none)"}`);
  };
  return experimental.createCertificateProviderChannelCredentials(provider, provider, { checkServerIdentity });
}

/** Roots for a channel. @throws Fault file_missing */
export function readRoots(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new Fault("file_missing", `${file} cannot be read`, { detail: { file }, cause });
  }
}

type CaListener = Parameters<experimental.CertificateProvider["addCaCertificateListener"]>[0];
type IdentityListener = Parameters<experimental.CertificateProvider["addIdentityCertificateListener"]>[0];

/** Our certificates as grpc-js takes them. New connections use what it was told last. */
class SourceProvider implements experimental.CertificateProvider {
  readonly #source: CertificateSource;
  readonly #endings = new Map<CaListener | IdentityListener, () => void>();

  constructor(source: CertificateSource) {
    this.#source = source;
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#add(listener, () => listener({ caCertificate: this.#source.current.ca! }));
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#remove(listener);
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#add(listener, () => listener({ certificate: this.#source.current.certificate, privateKey: this.#source.current.key }));
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#remove(listener);
  }

  /** Tells at once, but not within the call: whoever adds a listener is not ready for it yet. */
  #add(listener: CaListener | IdentityListener, tell: () => void): void {
    this.#endings.set(listener, this.#source.listen(tell));
    queueMicrotask(tell);
  }

  #remove(listener: CaListener | IdentityListener): void {
    this.#endings.get(listener)?.();
    this.#endings.delete(listener);
  }
}
