import { type Command, Option } from "commander";
import { z } from "zod";
import { type Bytes, MIB } from "#kernel";

/** The words of node-agent/engine/compute.ts: not imported, since a command line is read before an engine's code is. */
export const PROVIDERS = ["cpu", "webgpu", "cuda"] as const;
export const WEIGHT_FORMATS = ["float32", "float16", "int8", "int4"] as const;

const Mebibytes = z.coerce.number().int().min(1).max(16_777_216);

/** What a part with engines may be told about them; see {@link addEngineOptions}. */
export const ENGINE_OPTIONS = {
  ep: z.enum(PROVIDERS).default("cpu"),
  weights: z.enum(WEIGHT_FORMATS).default("float32"),
  memoryMib: Mebibytes.optional(),
} as const;

export type EngineFlags = z.infer<z.ZodObject<typeof ENGINE_OPTIONS>>;

/** What of it an engine holds. */
export const BUDGET_OPTIONS = {
  kvMib: Mebibytes.optional(),
  tablesMib: Mebibytes.optional(),
} as const;

export function addEngineOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--ep <provider>", "where engines compute (default: cpu; docs/devices.md)").choices(PROVIDERS).env("DELTAPLANE_EP"),
    )
    .addOption(
      new Option("--weights <format>", "how the bases' weights lie in memory (default: float32)")
        .choices(WEIGHT_FORMATS)
        .env("DELTAPLANE_WEIGHTS"),
    )
    .addOption(
      new Option("--memory-mib <n>", "that may be held where engines compute (default: what the container, machine or device has)").env(
        "DELTAPLANE_MEMORY_MIB",
      ),
    );
}

export function addBudgetOptions(command: Command): Command {
  return command
    .addOption(new Option("--kv-mib <n>", "of keys and values in one engine (default: 1024)").env("DELTAPLANE_KV_MIB"))
    .addOption(new Option("--tables-mib <n>", "of attached deltas in one engine (default: 512)").env("DELTAPLANE_TABLES_MIB"));
}

export function mebibytes(sizeMib: number | undefined): Bytes | undefined {
  return sizeMib === undefined ? undefined : sizeMib * MIB;
}
