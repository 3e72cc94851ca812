import { type Addresses, type Discovery, Fault, fixedDiscovery, joinDiscoveries, parseAddress } from "#kernel";
import type { ServicePort } from "#kubernetes";
import type { KubernetesAccess } from "../kubernetes/kubernetes-access.ts";

const SERVICE = /^kubernetes:\/\/([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?):([a-z0-9][-a-z0-9]{0,14})$/;

/** What may say where peers are. */
export interface PeerSources {
  /** The flag that names them. */
  readonly flag: string;
  /** As flags and environment name them: `host:port`, `kubernetes://<service>:<port>`, or several of either, also with commas between. */
  readonly named: readonly string[];
  readonly access: () => Promise<KubernetesAccess>;
  /** Those whom a registry knows. */
  readonly registered: Discovery | undefined;
}

/** Where peers are, by all that says so. @throws Fault parameter_invalid */
export async function peerAddresses({ flag, named, access, registered }: PeerSources): Promise<Addresses> {
  const all = named
    .flatMap((text) => text.split(","))
    .map((text) => text.trim())
    .filter(Boolean);
  const fixed = all.filter((text) => !text.includes("://"));
  for (const address of fixed) parseAddress(address);
  const services = all.filter((text) => text.includes("://")).map(servicePort);
  if (services.length === 0 && !registered) {
    if (fixed.length > 0) return fixed;
    throw new Fault("parameter_invalid", `--${flag} or --registry must say where to find one`, { detail: { field: flag } });
  }
  return joinDiscoveries([
    ...(fixed.length === 0 ? [] : [fixedDiscovery(fixed)]),
    ...(services.length === 0 ? [] : await endpointDiscoveries(services, access)),
    ...(registered ? [registered] : []),
  ]);
}

async function endpointDiscoveries(services: readonly ServicePort[], access: PeerSources["access"]): Promise<readonly Discovery[]> {
  const { createEndpointDiscovery } = await import("#kubernetes");
  const deps = await access();
  return services.map((service) => createEndpointDiscovery(deps, service));
}

function servicePort(text: string): ServicePort {
  const [, service, , port] = SERVICE.exec(text) ?? [];
  if (service === undefined || port === undefined) {
    throw new Fault("parameter_invalid", `"${text}" is neither <host>:<port> nor kubernetes://<service>:<port>`, {
      detail: { field: "address" },
    });
  }
  return { service, port };
}
