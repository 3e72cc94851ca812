import type { Discovery, PeerAddress } from "#kernel";
import { type MirrorDeps, type MirrorPace, startMirror } from "../mirror/resource-mirror.ts";
import { ENDPOINT_SLICES, peersOf, SERVICE_LABEL } from "./endpoint-slice.ts";

export interface ServicePort {
  /** A Service in our namespace; headless, so that it stands for its pods. */
  readonly service: string;
  /** Name or number. */
  readonly port: string;
}

/** Finds peers by the EndpointSlices of a Service. While the API server is away, the last news hold. */
export function createEndpointDiscovery(deps: MirrorDeps, options: ServicePort & { readonly pace?: Partial<MirrorPace> }): Discovery {
  const { service, port, pace } = options;
  return {
    async *watch(signal) {
      let wake = Promise.withResolvers<void>();
      const ring = () => wake.resolve();
      await using slices = startMirror(deps, {
        resource: ENDPOINT_SLICES,
        labelSelector: `${SERVICE_LABEL}=${service}`,
        name: `endpointslices/${service}`,
        onChange: ring,
        ...(pace && { pace }),
      });
      signal.addEventListener("abort", ring, { once: true });
      let told: readonly PeerAddress[] | undefined;
      while (!signal.aborted) {
        await wake.promise;
        wake = Promise.withResolvers();
        if (signal.aborted || !slices.objects) continue;
        const peers = peersOf(slices.objects.values(), port);
        if (told && same(told, peers)) continue;
        told = peers;
        yield peers;
      }
    },
  };
}

function same(one: readonly PeerAddress[], other: readonly PeerAddress[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ address, draining }, index) => other[index]!.address === address && other[index]!.draining === draining)
  );
}
