export type { Certificate, CertificateFiles } from "./certificate.ts";
export { requireIdentity } from "./certificate.ts";
export {
  type CertificateSource,
  type CertificateWatchDeps,
  type CertificateWatchOptions,
  type WatchedCertificate,
  watchCertificate,
} from "./certificate-watch.ts";
export { type ChannelTls, readRoots, type ServerTls } from "./credentials.ts";
export { componentOf, identityOf } from "./identity.ts";
