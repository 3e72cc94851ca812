import { type Clock, every, type Fault, type Log, type Millis, SECOND, toFault } from "#kernel";
import { type Certificate, type CertificateFiles, readCertificate } from "./certificate.ts";

/** A certificate that may be replaced while the process runs. */
export interface CertificateSource {
  readonly current: Certificate;
  /** Tells of every later one. Returns what ends that. */
  listen(listener: (certificate: Certificate) => void): () => void;
}

export interface WatchedCertificate extends CertificateSource, AsyncDisposable {}

export interface CertificateWatchDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Told once of each content of the files after the first. */
  readonly onReload?: (result: "loaded" | "refused") => void;
}

export interface CertificateWatchOptions extends CertificateFiles {
  /** What else must hold. @throws Fault when it does not */
  readonly check?: (certificate: Certificate) => void;
  readonly lookMs?: Millis;
}

/** Three small files: looking costs nothing, and unlike a watch it sees a link that is turned to another folder. */
const LOOK_MS: Millis = 1 * SECOND;

/** Reads a certificate, and again whenever its files change. What is no good changes nothing. @throws Faults of {@link readCertificate} */
export async function watchCertificate(deps: CertificateWatchDeps, options: CertificateWatchOptions): Promise<WatchedCertificate> {
  const { clock, log, onReload } = deps;
  const stop = new AbortController();
  const listeners = new Set<(certificate: Certificate) => void>();
  const load = async () => {
    const certificate = await readCertificate(options, clock.now());
    options.check?.(certificate);
    return certificate;
  };
  let current = await load();
  let refusal: string | undefined;

  const look = async () => {
    try {
      const latest = await load();
      refusal = undefined;
      if (same(latest, current)) return;
      current = latest;
      log.info({ file: options.certificateFile, expiresAt: new Date(latest.expiresAt).toISOString() }, "the certificate was replaced");
      onReload?.("loaded");
      for (const listener of listeners) listener(latest);
    } catch (error) {
      const fault: Fault = toFault(error);
      if (refusal === fault.message) return;
      refusal = fault.message;
      log.error({ reason: fault.reason, err: fault.cause }, `the old certificate stays in use: ${fault.message}`);
      onReload?.("refused");
    }
  };
  const looking = every(clock, options.lookMs ?? LOOK_MS, stop.signal, look);
  return {
    get current() {
      return current;
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await looking;
    },
  };
}

function same(one: Certificate, other: Certificate): boolean {
  return one.certificate.equals(other.certificate) && one.key.equals(other.key) && (one.ca?.equals(other.ca ?? Buffer.of()) ?? !other.ca);
}
