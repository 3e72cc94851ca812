import * as z from "zod";

/** Generous bounds of what a config may say, so that no loop or product over them runs away. */
export const layerCount = z.int().min(1).max(1024);
export const headCount = z.int().min(1).max(1024);
export const width = z
  .int()
  .min(1)
  .max(1 << 20);
export const vocabularySize = z
  .int()
  .min(1)
  .max(1 << 24);
export const contextTokens = z
  .int()
  .min(1)
  .max(1 << 30);
export const epsilon = z.number().min(0).max(1);
export const factor = z.number().positive();
export const flag = z.boolean().nullish();
/** One id, a list of ids, or nothing. */
export const tokenIds = z.union([z.int(), z.array(z.int()).max(1024)]).nullish();
