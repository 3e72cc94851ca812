import { Counter, Gauge, type Registry } from "prom-client";
import type { CertificateSource } from "#proto";

/** What a certificate is for: between the parts of a cluster, or towards customers. */
export type CertificateUse = "cluster" | "public";

export interface TlsMetrics {
  reloaded(use: CertificateUse, result: "loaded" | "refused"): void;
  /** Its expiry is read when it is scraped. */
  watch(use: CertificateUse, certificate: CertificateSource): void;
}

export function createTlsMetrics(registry: Registry): TlsMetrics {
  const registers = [registry];
  const sources = new Map<CertificateUse, CertificateSource>();
  new Gauge({
    name: "deltaplane_tls_certificate_expiry_timestamp_seconds",
    help: "When the certificate in use expires, in seconds since the epoch.",
    labelNames: ["use"],
    registers,
    collect() {
      for (const [use, { current }] of sources) this.set({ use }, current.expiresAt / 1000);
    },
  });
  const reloads = new Counter({
    name: "deltaplane_tls_reloads_total",
    help: "Changes of certificate files, by what became of them.",
    labelNames: ["use", "result"],
    registers,
  });
  return {
    reloaded: (use, result) => reloads.inc({ use, result }),
    watch: (use, certificate) => void sources.set(use, certificate),
  };
}
