import { z } from "zod";
import type { Resource } from "../api/contract.ts";
import { GROUP, VERSION } from "./base-model.ts";
import { Condition } from "./condition.ts";

export const TENANTS: Resource = { group: GROUP, version: VERSION, plural: "tenants", kind: "Tenant" };

const Limit = z.int().min(1).max(4_294_967_295).optional();

/** The tenant's id is the object's name. */
export const TenantSpec = z.object({
  /** What is not named is not limited. */
  limits: z
    .object({
      requestsPerMinute: Limit,
      inputTokensPerMinute: Limit,
      outputTokensPerMinute: Limit,
      concurrentRequests: Limit,
      maxTokens: Limit,
    })
    .optional(),
  /** Without it there is none. */
  budget: z
    .object({
      usd: z
        .string()
        .regex(/^\d{1,9}(\.\d{1,9})?$/)
        .max(19),
      period: z.enum(["Month", "Ever"]),
    })
    .optional(),
  /** Without it the plan stays as it is. */
  pricePlan: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
    .max(63)
    .optional(),
  /** Without it an operator's suspension stays as it is. */
  suspended: z.boolean().optional(),
});
export type TenantSpec = z.infer<typeof TenantSpec>;

export const TenantStatus = z.object({
  observedGeneration: z.int().min(0).optional(),
  suspended: z.boolean().optional(),
  conditions: z.array(Condition).optional(),
});
export type TenantStatus = z.infer<typeof TenantStatus>;
