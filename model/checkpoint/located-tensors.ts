import type { Fault } from "#kernel";
import { fileFault } from "../files/index.ts";
import { isFloatType, type StoredTensor } from "../safetensors/index.ts";
import type { TensorLocation } from "./contract.ts";

/** Modules that hold the model without its head; files written from that module alone lack the prefix. */
const PREFIXES = ["model.", "transformer."];

/**
 * Finds a tensor by its full name, stored with or without the prefix. Undefined when it is not there. Faults:
 * file_malformed when it is there twice, model_unsupported for a type that is not F32, F16 or BF16.
 */
export function findTensor(stored: ReadonlyMap<string, StoredTensor>, name: string): TensorLocation | undefined {
  const prefix = PREFIXES.find((candidate) => name.startsWith(candidate));
  const full = stored.get(name);
  const bare = prefix && stored.get(name.slice(prefix.length));
  if (full && bare) throw tensorFault("file_malformed", full, `is also stored as ${bare.name}`);
  const found = full ?? bare;
  if (!found) return undefined;
  const { type } = found;
  if (!isFloatType(type)) throw tensorFault("model_unsupported", found, `type ${type} is not supported`);
  return { ...found, type };
}

/** Every needed tensor with the shape it must have. `missingIn` is the file to name for one that is nowhere. */
export function locateTensors(
  stored: ReadonlyMap<string, StoredTensor>,
  needed: ReadonlyMap<string, readonly number[]>,
  missingIn: string,
): Map<string, TensorLocation> {
  const located = new Map<string, TensorLocation>();
  for (const [name, shape] of needed) {
    const found = findTensor(stored, name);
    if (!found) throw fileFault("file_malformed", missingIn, `tensor ${name} is missing`, { field: name });
    if (found.shape.join() !== shape.join()) {
      throw tensorFault("file_malformed", found, `has the shape [${found.shape}]; by config.json it is [${shape}]`);
    }
    located.set(name, found);
  }
  return located;
}

function tensorFault(reason: "file_malformed" | "model_unsupported", tensor: StoredTensor, why: string): Fault {
  return fileFault(reason, tensor.file, `tensor ${tensor.name}: ${why}`, { field: tensor.name });
}
