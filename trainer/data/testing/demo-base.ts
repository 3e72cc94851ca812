import { join } from "node:path";
import { openCheckpoint, openTextCodec } from "#model";
import type { TrainingBase } from "../encode.ts";

const DEMO_BASE_FOLDER = join(import.meta.dirname, "../../../models/demo-base");

export { DEMO_BASE_FOLDER };

/** The base that comes with the repository. `contextTokensMax` makes its context shorter. */
export async function openDemoBase(contextTokensMax?: number): Promise<TrainingBase> {
  const { info } = await openCheckpoint(DEMO_BASE_FOLDER);
  const codec = await openTextCodec(DEMO_BASE_FOLDER, info);
  return { codec, info: contextTokensMax === undefined ? info : { ...info, contextTokensMax } };
}
