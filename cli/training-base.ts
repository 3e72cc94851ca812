import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { Fault } from "#kernel";
import { openCheckpoint, openTextCodec } from "#model";
import { ModelServiceService } from "#proto";
import type { TrainingBase } from "#trainer";
import { DEMO_BASE } from "./cluster/demo.ts";
import { withConnection } from "./connection.ts";

/**
 * The base for which data are prepared: a folder, the demo base by its name or by default, or one of the cluster's, when
 * its folder can be read here too. Reads the weights once, for their check.
 *
 * @throws Fault resource_unknown; those of the connection and of {@link openCheckpoint}
 */
export async function findTrainingBase(named: string | undefined, command: Command): Promise<TrainingBase> {
  const { directory, name } = await locate(named, command);
  const { info } = await openCheckpoint(directory, name === undefined ? {} : { name });
  return { info, codec: await openTextCodec(directory, info) };
}

async function locate(named: string | undefined, command: Command): Promise<{ readonly directory: string; readonly name?: string }> {
  if (named === undefined || named === DEMO_BASE.name) return DEMO_BASE;
  if (existsSync(join(named, "config.json"))) return { directory: named };
  let directory: string | undefined;
  await withConnection(command, async ({ channel, signal }) => {
    const { bases } = await channel.unary(ModelServiceService.listBases, {}, { signal });
    directory = bases.find((base) => base.name === named)?.directory;
  });
  if (directory !== undefined && existsSync(directory)) return { directory, name: named };
  const why = directory === undefined ? "is neither a folder of a base nor one of the cluster's" : "has its folder on another machine";
  throw new Fault("resource_unknown", `--base ${named} ${why}`, { detail: { resource: named } });
}
