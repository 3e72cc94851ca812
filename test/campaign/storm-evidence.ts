import { cp, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LiveCluster } from "./live-cluster.ts";
import type { StormEvidence, Violation } from "./storm-check.ts";

/** Keeps what is needed to find out why a promise was broken: what clients saw, the books, who died when, and all logs. */
export async function keepEvidence(
  cluster: LiveCluster,
  { records, booked, kills }: Pick<StormEvidence, "records" | "booked" | "kills">,
  violations: readonly Violation[],
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "deltaplane-evidence-"));
  await cp(join(cluster.folder, "logs"), join(folder, "logs"), { recursive: true });
  const write = (name: string, items: readonly unknown[]) => {
    const lines = items.map((item) => JSON.stringify(item, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)));
    return writeFile(join(folder, `${name}.jsonl`), `${lines.join("\n")}\n`);
  };
  await Promise.all([
    write("violations", violations),
    write("records", records),
    write("booked", [...booked.values()]),
    write("kills", kills),
  ]);
  return folder;
}
