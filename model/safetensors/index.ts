export { convertFromFloat32, convertToFloat32, FLOAT_BYTES, type FloatType, isFloatType } from "./float-values.ts";
export {
  BASE_HEADER_LIMITS,
  DELTA_HEADER_LIMITS,
  type HeaderLimits,
  type SafetensorsHeader,
  type StoredTensor,
  shortName,
} from "./header.ts";
export { parseSafetensors, readSafetensorsHeader } from "./header-file.ts";
export { checkFinite, forEachPiece, readTensorFloat32 } from "./tensor-reader.ts";
export { type TensorToWrite, writeSafetensors } from "./writer.ts";
