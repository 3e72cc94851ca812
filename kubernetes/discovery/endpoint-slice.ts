import { z } from "zod";
import type { PeerAddress } from "#kernel";
import type { KubernetesObject, Resource } from "../api/contract.ts";

export const ENDPOINT_SLICES: Resource = { group: "discovery.k8s.io", version: "v1", plural: "endpointslices", kind: "EndpointSlice" };

/** The label by which the slices of a Service are found. */
export const SERVICE_LABEL = "kubernetes.io/service-name";

const Slice = z.object({
  addressType: z.enum(["IPv4", "IPv6", "FQDN"]),
  endpoints: z
    .array(
      z.object({
        addresses: z.array(z.string()),
        conditions: z
          .object({ ready: z.boolean().nullish(), serving: z.boolean().nullish(), terminating: z.boolean().nullish() })
          .nullish(),
      }),
    )
    .nullish(),
  ports: z.array(z.object({ name: z.string().nullish(), port: z.number().int().nullish() })).nullish(),
});

/**
 * Where the pods behind a Service are called, from all of its slices. A pod that drains stays in as long as it still
 * serves; one that does not serve is left out. A condition that is not set means yes, but for terminating. A Service
 * of two families has each pod twice: then IPv4 counts.
 *
 * @param port name or number of the Service's port; a slice without it has nothing for us
 */
export function peersOf(slices: Iterable<KubernetesObject>, port: string): readonly PeerAddress[] {
  const read = [...slices].map((slice) => Slice.safeParse(slice)).flatMap(({ data }) => (data ? [data] : []));
  const family = read.some(({ addressType }) => addressType === "IPv4") ? "IPv4" : "IPv6";
  const peers = new Map<string, PeerAddress>();
  for (const { addressType, endpoints, ports } of read) {
    const number = ports?.find(({ name, port: listed }) => name === port || String(listed) === port)?.port;
    if (number == null || (addressType !== family && addressType !== "FQDN")) continue;
    for (const { addresses, conditions } of endpoints ?? []) {
      const host = addresses[0]; // The API promises that they are alike, and that one is enough.
      if (host === undefined || !(conditions?.serving ?? conditions?.ready ?? true)) continue;
      const address = `${addressType === "IPv6" ? `[${host}]` : host}:${number}`;
      // While a pod moves between slices it may be in two: what still serves without draining wins.
      const draining = (conditions?.terminating ?? false) && (peers.get(address)?.draining ?? true);
      peers.set(address, { address, draining });
    }
  }
  return [...peers.values()].sort((one, other) => (one.address < other.address ? -1 : 1));
}
