import type { Fault } from "#kernel";
import { fileFault } from "../files/index.ts";

const CONFIG_FILE = "config.json";

/** A setting that means something to transformers, but that our graphs do not compute. */
export function unsupported(field: string, why: string): Fault {
  return fileFault("model_unsupported", CONFIG_FILE, `${field}: ${why} is not supported`, { field });
}

/** A setting that can't be. */
export function malformed(field: string, why: string): Fault {
  return fileFault("file_malformed", CONFIG_FILE, `${field}: ${why}`, { field });
}
