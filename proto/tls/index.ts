export type { CertificateFiles } from "./certificate.ts";
export { requireIdentity } from "./certificate.ts";
export { type CertificateSource, type WatchedCertificate, watchCertificate } from "./certificate-watch.ts";
export { type ChannelTls, readRoots, type ServerTls } from "./credentials.ts";
export { componentOf, identityOf } from "./identity.ts";
