import { createHash } from "node:crypto";
import { z } from "zod";
import { type Millis, NAME_PATTERN, SECOND } from "#kernel";
import type { KubernetesObject, Resource } from "../api/contract.ts";

export const LEASES: Resource = { group: "coordination.k8s.io", version: "v1", plural: "leases", kind: "Lease" };

/** A Lease's own duration has whole seconds. */
const TERM_ANNOTATION = "deltaplane.dev/term-ms";
const NAME_ANNOTATION = "deltaplane.dev/lease-name";

/** What a Lease says, in our words. */
export interface LeaseRecord {
  /** Undefined when it was given back. */
  readonly holder: string | undefined;
  /** `leaseTransitions`: how often the holder has changed, from 1. Kept when the lease is given back. */
  readonly epoch: number;
  readonly termMs: Millis;
  /** By the holder's own clock; nobody else's decisions rest on it alone. */
  readonly renewedAt: Millis;
}

const Spec = z.object({
  holderIdentity: z.string().nullish(),
  leaseDurationSeconds: z.number().int().nullish(),
  leaseTransitions: z.number().int().nullish(),
  renewTime: z.string().nullish(),
});

/** A name is whatever its users like; an object's name is a DNS name. Those that are not one are known by their hash. */
export function leaseObjectName(prefix: string, name: string): string {
  if (NAME_PATTERN.test(name) && !name.endsWith("-")) return prefix + name;
  return `${prefix}sha256.${createHash("sha256").update(name).digest("hex").slice(0, 40)}`;
}

/** What no holder of ours wrote counts as written by nobody, at the beginning of time. */
export function readLease(object: KubernetesObject): LeaseRecord {
  const spec = Spec.safeParse(object.spec ?? {}).data ?? {};
  const seconds = spec.leaseDurationSeconds ?? 0;
  const exactMs = Number(object.metadata.annotations?.[TERM_ANNOTATION]);
  return {
    holder: spec.holderIdentity || undefined,
    epoch: spec.leaseTransitions ?? 0,
    termMs: Math.ceil(exactMs / SECOND) === seconds ? exactMs : seconds * SECOND,
    renewedAt: Date.parse(spec.renewTime ?? "") || 0,
  };
}

/** `old` with what `record` says: what others wrote on the object stays. */
export function writeLease(old: KubernetesObject | undefined, objectName: string, name: string, record: LeaseRecord): KubernetesObject {
  const before = Spec.safeParse(old?.spec ?? {}).data;
  const renewTime = microTime(record.renewedAt);
  const acquireTime = before && before.leaseTransitions === record.epoch ? (old!.spec as { acquireTime?: string }).acquireTime : undefined;
  const annotations = { ...old?.metadata.annotations, [NAME_ANNOTATION]: name, [TERM_ANNOTATION]: String(record.termMs) };
  return {
    ...old,
    metadata: { ...old?.metadata, name: objectName, annotations },
    spec: {
      ...(record.holder === undefined ? {} : { holderIdentity: record.holder }),
      leaseDurationSeconds: Math.ceil(record.termMs / SECOND),
      leaseTransitions: record.epoch,
      acquireTime: acquireTime ?? renewTime,
      renewTime,
    },
  };
}

/** Kubernetes' MicroTime. */
function microTime(at: Millis): string {
  return new Date(at).toISOString().replace("Z", "000Z");
}
