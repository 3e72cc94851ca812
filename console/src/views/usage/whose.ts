import { goTo, route } from "../../routing/index.ts";
import { session } from "../../session/index.ts";

/** The parts of this view; an operator has more of them. */
export const PARTS = [
  { value: "usage", label: "Usage", operator: false },
  { value: "invoice", label: "Invoice and exports", operator: false },
  { value: "tenants", label: "Tenants", operator: true },
  { value: "prices", label: "Price book", operator: true },
  { value: "revenue", label: "Revenue and GPUs", operator: true },
] as const;
export type Part = (typeof PARTS)[number]["value"];

/** The part that the address names, else the first. */
export function partShown(): Part {
  return PARTS.find(({ value }) => value === route.value.rest[0])?.value ?? "usage";
}

/** Whose numbers: a tenant's own, or of the tenant that an operator has chosen; "" for all of them. */
export function tenantShown(): string {
  return session.value?.tenant ?? route.value.query.get("tenant") ?? "";
}

/** Goes to a part, with the tenant that is chosen, or another. */
export function show(part: Part, tenant: string = route.value.query.get("tenant") ?? ""): void {
  goTo("usage", [part], tenant === "" ? {} : { tenant });
}
