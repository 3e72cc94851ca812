import { type Bytes, KIB, MIB } from "#kernel";
import { decodeJsonObject, fileFault, isJsonObject, type JsonObject, type JsonValue } from "../files/index.ts";

/** Bits per value of every type that the format defines and that fills whole bytes. */
const TYPE_BITS = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  I64: 64,
  U64: 64,
  F64: 64,
  C64: 64,
} as const;

export type StoredType = keyof typeof TYPE_BITS;

/** One tensor of a safetensors file; its range has been checked against the file. */
export interface StoredTensor {
  readonly name: string;
  readonly file: string;
  readonly type: StoredType;
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly offsetBytes: Bytes;
  readonly sizeBytes: Bytes;
}

export interface SafetensorsHeader {
  readonly file: string;
  readonly sizeBytes: Bytes;
  /** Where the first tensor begins. */
  readonly dataOffsetBytes: Bytes;
  /** In the order in which they lie in the file. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: ReadonlyMap<string, string>;
}

export interface HeaderLimits {
  /** Parsing takes about 20 times the header's size in memory, and blocks the loop. */
  readonly headerBytesMax: Bytes;
  readonly tensorsMax: number;
}

/** A base: the largest published mixture-of-experts header is below 10 MB; Hugging Face's own reader for the web stops at 25 MB. */
export const BASE_HEADER_LIMITS: HeaderLimits = { headerBytesMax: 25 * MIB, tensorsMax: 200_000 };

/** A delta comes from a tenant: one with 80 layers and 7 linears has 1,120 tensors and a header of about 150 kB. */
export const DELTA_HEADER_LIMITS: HeaderLimits = { headerBytesMax: MIB, tensorsMax: 8 * KIB };

/** No model has a tensor of more dimensions. */
const DIMENSIONS_MAX = 8;

/** The length that a file's first 8 bytes announce for its header. Fault file_malformed when it can't be true. */
export function headerLength(prefix: Uint8Array, file: string, fileBytes: Bytes, limits: HeaderLimits): Bytes {
  if (fileBytes < 8 || prefix.length < 8) throw fileFault("file_malformed", file, `${fileBytes} bytes are too few for a safetensors file`);
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length + 8n > BigInt(fileBytes)) {
    throw fileFault("file_malformed", file, `a header of ${length} bytes is announced in a file of ${fileBytes}`);
  }
  if (length > BigInt(limits.headerBytesMax)) {
    throw fileFault("file_malformed", file, `a header of ${length} bytes, more than the ${limits.headerBytesMax} accepted`);
  }
  return Number(length);
}

/**
 * Checks a safetensors header, strictly: UTF-8, no duplicate keys, known types, sizes that follow from type and
 * shape, and tensors that cover the rest of the file without hole, overlap or rest. Fault file_malformed otherwise.
 */
export function parseHeader(content: Uint8Array, file: string, fileBytes: Bytes, limits: HeaderLimits): SafetensorsHeader {
  if (content[0] !== 0x7b) throw fileFault("file_malformed", file, "the header does not start with {");
  const entries = Object.entries(decodeJsonObject(content, file, "integers"));
  const dataOffsetBytes = 8 + content.length;
  let metadata: ReadonlyMap<string, string> = new Map();
  const tensors: StoredTensor[] = [];
  for (const [name, value] of entries) {
    if (name === "__metadata__") metadata = parseMetadata(value, file);
    else tensors.push(parseTensor(name, value, file, dataOffsetBytes));
  }
  if (tensors.length > limits.tensorsMax) {
    throw fileFault("file_malformed", file, `${tensors.length} tensors, more than the ${limits.tensorsMax} accepted`);
  }
  tensors.sort((one, other) => one.offsetBytes - other.offsetBytes || one.sizeBytes - other.sizeBytes);
  checkCover(tensors, file, dataOffsetBytes, fileBytes);
  return { file, sizeBytes: fileBytes, dataOffsetBytes, tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])), metadata };
}

function parseMetadata(value: JsonValue, file: string): ReadonlyMap<string, string> {
  if (!isJsonObject(value)) throw fileFault("file_malformed", file, "__metadata__ is not an object");
  const metadata = new Map<string, string>();
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string")
      throw fileFault("file_malformed", file, `__metadata__ holds something else than text at ${JSON.stringify(key)}`);
    metadata.set(key, text);
  }
  return metadata;
}

function parseTensor(name: string, value: JsonValue, file: string, dataOffsetBytes: Bytes): StoredTensor {
  const fail = (why: string) => fileFault("file_malformed", file, `tensor ${shortName(name)}: ${why}`, { field: shortName(name) });
  if (!isJsonObject(value)) throw fail("not an object");
  const fields = Object.keys(value);
  if (fields.length !== 3) throw fail(`has the fields ${fields.slice(0, 5).join(", ")}; dtype, shape and data_offsets are expected`);
  const { type, shape, begin, end } = tensorFields(value, fail);
  const sizeBytes = storedSize(type, shape);
  if (sizeBytes === undefined) throw fail("its shape is larger than any file");
  if (begin > end) throw fail(`begins at ${begin}, after its end at ${end}`);
  if (end - begin !== sizeBytes) throw fail(`type and shape ask for ${sizeBytes} bytes, its offsets hold ${end - begin}`);
  return { name, file, type, shape, offsetBytes: dataOffsetBytes + begin, sizeBytes };
}

function tensorFields(value: JsonObject, fail: (why: string) => Error) {
  const { dtype: type, shape, data_offsets: offsets } = value;
  if (typeof type !== "string" || !isStoredType(type)) throw fail(`type ${JSON.stringify(type)?.slice(0, 40)} is unknown`);
  if (!isCounts(shape)) throw fail("its shape is not a list of whole numbers from 0");
  if (shape.length > DIMENSIONS_MAX) throw fail(`${shape.length} dimensions, more than the ${DIMENSIONS_MAX} accepted`);
  if (!isCounts(offsets) || offsets.length !== 2) throw fail("its data_offsets are not two whole numbers from 0");
  return { type, shape, begin: offsets[0]!, end: offsets[1]! };
}

function isStoredType(type: string): type is StoredType {
  return Object.hasOwn(TYPE_BITS, type);
}

function isCounts(value: JsonValue | undefined): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

/** Bytes of a tensor; undefined when no exact number can say it. */
export function storedSize(type: StoredType, shape: readonly number[]): Bytes | undefined {
  if (shape.includes(0)) return 0;
  let sizeBytes = TYPE_BITS[type] / 8;
  for (const size of shape) {
    sizeBytes *= size;
    if (!Number.isSafeInteger(sizeBytes)) return undefined;
  }
  return sizeBytes;
}

/** Sorted tensors must lie side by side from the end of the header to the end of the file. */
function checkCover(tensors: readonly StoredTensor[], file: string, dataOffsetBytes: Bytes, fileBytes: Bytes): void {
  let end = dataOffsetBytes;
  for (const tensor of tensors) {
    const name = shortName(tensor.name);
    if (tensor.offsetBytes < end) throw fileFault("file_malformed", file, `tensor ${name}: overlaps the one before it`, { field: name });
    if (tensor.offsetBytes > end) throw fileFault("file_malformed", file, `tensor ${name}: a hole lies before it`, { field: name });
    end += tensor.sizeBytes;
    if (end > fileBytes) throw fileFault("file_malformed", file, `tensor ${name}: reaches beyond the end of the file`, { field: name });
  }
  if (end < fileBytes) throw fileFault("file_malformed", file, `${fileBytes - end} bytes after the last tensor`);
}

/** A name from an untrusted file, fit for a message. */
export function shortName(name: string): string {
  return name.length > 120 ? `${name.slice(0, 120)}…` : name;
}
