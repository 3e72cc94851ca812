import path from "node:path";
import { Fault, type FaultReason } from "#kernel";

/**
 * A fault about a model file. It names the file without its folder: the folder is the server's business, and the
 * message may go to a tenant.
 */
export function fileFault(reason: FaultReason, file: string, why: string, options: { field?: string; cause?: unknown } = {}): Fault {
  const name = path.basename(file);
  const detail = options.field === undefined ? { file: name } : { file: name, field: options.field };
  return new Fault(reason, `${name}: ${why}`, options.cause === undefined ? { detail } : { detail, cause: options.cause });
}
