import { z } from "zod";
import type { Millis } from "#kernel";

/** Kubernetes' own shape of a condition (meta/v1 Condition). */
export const Condition = z.object({
  type: z.string().max(316),
  status: z.enum(["True", "False", "Unknown"]),
  /** One word, in CamelCase. */
  reason: z
    .string()
    .regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/)
    .max(1024),
  message: z.string().max(32768),
  observedGeneration: z.int().min(0),
  lastTransitionTime: z.iso.datetime(),
});
export type Condition = z.infer<typeof Condition>;

/** The one condition that all our kinds have: whether the catalogue is as the object says. */
export const READY = "Ready";

/** What a reconciliation came to. */
export interface Verdict {
  readonly status: Condition["status"];
  readonly reason: string;
  readonly message: string;
}

/** The conditions with Ready as it is now: its time changes only when its status does, so that nothing is written when nothing is new. */
export function withReady(old: readonly Condition[], verdict: Verdict, observedGeneration: number, now: Millis): Condition[] {
  const before = old.find(({ type }) => type === READY);
  const lastTransitionTime = before?.status === verdict.status ? before.lastTransitionTime : new Date(now).toISOString();
  const ready = { type: READY, ...verdict, message: verdict.message.slice(0, 32_768), observedGeneration, lastTransitionTime };
  return [...old.filter(({ type }) => type !== READY), ready];
}

/** A fault's reason as Kubernetes writes reasons: `model_unknown` → `ModelUnknown`. */
export function conditionReason(reason: string): string {
  return reason.replace(/(^|_)([a-z])/g, (_, __, letter: string) => letter.toUpperCase());
}
