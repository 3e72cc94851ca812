import { DeltaSpec, type DeltaStatus } from "../custom-resources/delta.ts";
import type { Ask } from "./contract.ts";

/** Another Delta object for the same `<tenant>/<name>` that was there first, or undefined: two would take the alias from each other for ever. */
export function rivalOf({ name, spec, all }: Pick<Ask<DeltaSpec, DeltaStatus>, "name" | "spec" | "all">): string | undefined {
  const claims = all.filter(({ spec: other, metadata }) => {
    const read = DeltaSpec.safeParse(other).data;
    return metadata.name === name || (read?.tenant === spec.tenant && read.name === spec.name);
  });
  const [first] = claims
    .map(({ metadata }) => ({ name: metadata.name, since: String(metadata.creationTimestamp ?? "") }))
    .sort((one, other) => one.since.localeCompare(other.since) || one.name.localeCompare(other.name));
  return first === undefined || first.name === name ? undefined : first.name;
}
