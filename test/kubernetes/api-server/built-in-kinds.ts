import { z } from "zod";
import type { Kind, StoredObject } from "./kind.ts";
import { invalid } from "./status-error.ts";

const MICRO_TIME = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);

/** What coordination.k8s.io checks of a Lease. */
const LeaseSpec = z.strictObject({
  holderIdentity: z.string().min(1).optional(),
  leaseDurationSeconds: z
    .int()
    .min(1)
    .max(2 ** 31 - 1)
    .optional(),
  leaseTransitions: z
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .optional(),
  acquireTime: MICRO_TIME.optional(),
  renewTime: MICRO_TIME.optional(),
});

const Conditions = z.strictObject({ ready: z.boolean().optional(), serving: z.boolean().optional(), terminating: z.boolean().optional() });
const EndpointSlice = z.looseObject({
  addressType: z.enum(["IPv4", "IPv6", "FQDN"]),
  endpoints: z.array(z.looseObject({ addresses: z.array(z.string()).min(1).max(100), conditions: Conditions.optional() })),
  ports: z.array(z.looseObject({ name: z.string().optional(), port: z.int().min(1).max(65535).optional() })).optional(),
});

function admitting(kind: string, shape: z.ZodType) {
  return (object: StoredObject): StoredObject => {
    const read = shape.safeParse(object);
    if (!read.success) throw invalid(kind, read.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; "));
    return object;
  };
}

const NAMESPACE_KIND: Kind = {
  group: "",
  version: "v1",
  plural: "namespaces",
  kind: "Namespace",
  namespaced: false,
  statusSubresource: true,
  admit: (object) => object,
};

/** What the server knows without a CustomResourceDefinition. */
export const BUILT_IN_KINDS: readonly Kind[] = [
  NAMESPACE_KIND,
  {
    group: "coordination.k8s.io",
    version: "v1",
    plural: "leases",
    kind: "Lease",
    namespaced: true,
    statusSubresource: false,
    admit: admitting("Lease", z.looseObject({ spec: LeaseSpec.optional() })),
  },
  {
    group: "discovery.k8s.io",
    version: "v1",
    plural: "endpointslices",
    kind: "EndpointSlice",
    namespaced: true,
    statusSubresource: false,
    admit: admitting("EndpointSlice", EndpointSlice),
  },
];
