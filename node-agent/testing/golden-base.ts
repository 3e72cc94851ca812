import { readFileSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { asTenantId, deltaDigest, Fault } from "#kernel";
import { type BaseInfo, type DeltaReference, inspectDelta, openCheckpoint } from "#model";
import type { DeltaOrigin } from "../delta-cache/index.ts";

/** A tiny real base with eight real deltas; see test/golden. */
const GOLDEN = fileURLToPath(new URL("../../test/golden/files/llama-gqa-tied", import.meta.url));

export const GOLDEN_BASE = join(GOLDEN, "base");

export function goldenDeltaFolder(name: string): string {
  return join(GOLDEN, "deltas", name);
}

export async function goldenInfo(): Promise<BaseInfo> {
  return (await openCheckpoint(GOLDEN_BASE, { name: "golden" })).info;
}

export async function goldenReference(name: string, base: BaseInfo, tenant = "acme"): Promise<DeltaReference> {
  const identity = { tenantId: asTenantId(tenant), baseDigest: base.digest };
  return { ...identity, digest: deltaDigest({ ...identity, ...(await inspectDelta(goldenDeltaFolder(name), base)) }) };
}

/** An origin that copies folders; it counts, and can be told to be away. */
export class FolderOrigin implements DeltaOrigin {
  readonly folders = new Map<string, string>();
  readonly fetched: string[] = [];
  away = false;

  async fetch({ digest }: DeltaReference, into: string): Promise<void> {
    this.fetched.push(digest);
    if (this.away) throw new Fault("delta_unavailable", "the origin is away");
    const folder = this.folders.get(digest);
    if (!folder) throw new Fault("resource_unknown", "no such delta");
    for (const file of ["adapter_config.json", "adapter_model.safetensors"]) await copyFile(join(folder, file), join(into, file));
  }
}

interface ExpectedText {
  readonly tokens: readonly number[];
  readonly greedy: readonly number[];
}

/** What transformers and peft write after the short prompt of a variant: `base` or a delta's name. */
export function goldenExpected(): (variant: string) => ExpectedText {
  const { variants } = JSON.parse(readFileSync(join(GOLDEN, "expected.json"), "utf8")) as {
    readonly variants: readonly { readonly name: string; readonly prompts: readonly ExpectedText[] }[];
  };
  const texts = new Map(variants.map(({ name, prompts }) => [name, prompts[0]!]));
  return (variant) => texts.get(variant)!;
}
