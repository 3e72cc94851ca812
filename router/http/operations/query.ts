import { z } from "zod";
import { shapeWords } from "#kernel";
import { invalidField } from "../request-body.ts";

/** Milliseconds since the epoch, up to the last year with four digits. */
export const instant = z.coerce.number().int().min(0).max(253_402_214_400_000);
/** Of a tenant; empty for the caller's own, or for all. */
export const tenantId = z.string().max(64).default("");

/** A page of a list: so many, after the one with this id. */
export const page = (limitMax: number, limit: number) => ({
  limit: z.coerce.number().int().min(1).max(limitMax).default(limit),
  after: z.string().max(256).optional(),
});

/** A query or a body by its schema. @throws Fault parameter_invalid, which names the field */
export function parsed<S extends z.ZodType>(schema: S, raw: unknown): z.output<S> {
  const read = schema.safeParse(raw ?? {}, { error: shapeWords });
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw invalidField(issue!.path.join(".") || "body", issue!.message);
}

/** The entries behind the one with the id `after`, and whether more follow. @throws Fault parameter_invalid for an unknown one */
export function pageOf<T>(
  all: readonly T[],
  { limit, after }: { readonly limit: number; readonly after?: string | undefined },
  idOf: (entry: T) => string,
): { readonly data: readonly T[]; readonly has_more: boolean } {
  const begin = after === undefined ? 0 : all.findIndex((entry) => idOf(entry) === after) + 1;
  if (after !== undefined && begin === 0) throw invalidField("after", `there is no ${after} in this list`);
  return { data: all.slice(begin, begin + limit), has_more: begin + limit < all.length };
}
