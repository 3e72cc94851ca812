import { z } from "zod";
import type { Resource } from "../api/contract.ts";
import { Condition } from "./condition.ts";

export const GROUP = "deltaplane.dev";
export const VERSION = "v1alpha1";

export const BASE_MODELS: Resource = { group: GROUP, version: VERSION, plural: "basemodels", kind: "BaseModel" };

/** The base's name is the object's. */
export const BaseModelSpec = z.object({
  /** On the nodes: a Hugging Face folder, from an image volume, a PVC or the node's cache. */
  directory: z
    .string()
    .regex(/^\/.+$/)
    .max(4096),
});
export type BaseModelSpec = z.infer<typeof BaseModelSpec>;

export const BaseModelStatus = z.object({
  observedGeneration: z.int().min(0).optional(),
  digest: z.string().max(64).optional(),
  architecture: z.string().max(64).optional(),
  contextTokensMax: z.int().min(0).optional(),
  conditions: z.array(Condition).optional(),
});
export type BaseModelStatus = z.infer<typeof BaseModelStatus>;
