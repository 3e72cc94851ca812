import { type Addresses, type Discovery, Fault, fixedDiscovery, joinDiscoveries, parseAddress } from "#kernel";
import type { ServicePort } from "#kubernetes";
import type { KubernetesAccess } from "./kubernetes-access.ts";

const SERVICE = /^kubernetes:\/\/([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?):([a-z0-9][-a-z0-9]{0,14})$/;

/**
 * Peers as flags and environment name them: `host:port`, `kubernetes://<service>:<port>`, or several of either, also
 * with commas between. @throws Fault parameter_invalid
 */
export async function peerAddresses(named: readonly string[], access: () => Promise<KubernetesAccess>): Promise<Addresses> {
  const all = named.flatMap((text) => text.split(",")).map((text) => text.trim());
  const fixed = all.filter((text) => !text.includes("://"));
  for (const address of fixed) parseAddress(address);
  const services = all.filter((text) => text.includes("://")).map(servicePort);
  if (services.length === 0) return fixed;
  const { createEndpointDiscovery } = await import("#kubernetes");
  const deps = await access();
  const discoveries: Discovery[] = services.map((service) => createEndpointDiscovery(deps, service));
  return joinDiscoveries(fixed.length === 0 ? discoveries : [fixedDiscovery(fixed), ...discoveries]);
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
