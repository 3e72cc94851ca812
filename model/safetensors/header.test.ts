import { mkdir, mkdtemp, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { type FaultReason, isFault } from "#kernel";
import { DELTA_HEADER_LIMITS, type StoredType, storedSize } from "./header.ts";
import { parseSafetensors, readSafetensorsHeader } from "./header-file.ts";
import { encodeHeader } from "./writer.ts";

const FILE = "adapter_model.safetensors";
const RUNS = Number(process.env["DELTAPLANE_FUZZ"] ?? 3000);
vi.setConfig({ testTimeout: 5000 + 20 * RUNS });

/** A file with any header text, honestly announced or not. */
function file(header: string | Uint8Array, dataBytes = 0, announced?: bigint): Uint8Array<ArrayBuffer> {
  const content = Buffer.from(header);
  const result = Buffer.alloc(8 + content.length + dataBytes);
  result.writeBigUInt64LE(announced ?? BigInt(content.length));
  content.copy(result, 8);
  return new Uint8Array(result);
}

const entry = (shape: string, offsets: string, dtype = '"F32"') => `{"dtype":${dtype},"shape":${shape},"data_offsets":${offsets}}`;
const one = (shape: string, offsets: string, dtype?: string) => `{"w":${entry(shape, offsets, dtype)}}`;
const two = (first: string, second: string) => `{"a":${entry("[1]", first)},"b":${entry("[1]", second)}}`;
const parse = (content: Uint8Array) => parseSafetensors(content, FILE, DELTA_HEADER_LIMITS);

describe("a bad file is refused with its name and the reason", () => {
  const corpus: readonly (readonly [name: string, content: Uint8Array, why: string])[] = [
    ["empty", new Uint8Array(0), "too few"],
    ["7 bytes", new Uint8Array(7), "too few"],
    ["header longer than the file", file("{}", 0, 3n), "a header of 3 bytes is announced"],
    ["header of 2^63 bytes", file("{}", 0, 2n ** 63n), "9223372036854775808"],
    ["header of 2^64-1 bytes", file("{}", 0, 2n ** 64n - 1n), "18446744073709551615"],
    ["header above the limit", file(`{}${" ".repeat(2 ** 20)}`), "more than the 1048576 accepted"],
    ["empty header", file(""), "does not start with {"],
    ["leading space", file(" {}"), "does not start with {"],
    ["byte order mark", file("\uFEFF{}"), "does not start with {"],
    ["a list", file("[]"), "does not start with {"],
    ["a zip archive", Buffer.from("504b0304140000000800000000000000", "hex"), "is announced in a file of"],
    ["a pickle", Buffer.from("80059500000000000000002e", "hex"), "is announced in a file of"],
    ["an ELF file", Buffer.from("7f454c4602010100000000000000000003003e00", "hex"), "is announced in a file of"],
    ["invalid UTF-8", file(Buffer.from('{"\xff":1}', "latin1")), "not valid UTF-8"],
    ["overlong UTF-8", file(Buffer.from('{"\xc0\x80":1}', "latin1")), "not valid UTF-8"],
    ["half a surrogate pair", file('{"\\ud800":1}'), "half a surrogate pair"],
    ["a control character", file('{"a\u0001":1}'), "control character"],
    ["text after the end", file('{}{"a":1}'), "text after the end"],
    ["NUL after the end", file("{}\0"), "text after the end"],
    ["cut JSON", file('{"w":'), "an integer is expected"],
    ["single quotes", file("{'w':1}"), "a key in quotes"],
    ["a trailing comma", file('{"w":null,}'), "a key in quotes"],
    ["a bad escape", file('{"\\x":1}'), "bad escape"],
    ["a tensor twice", file(`{"w":${entry("[1]", "[0,4]")},"w":${entry("[1]", "[0,4]")}}`, 4), 'key "w" occurs twice'],
    ["a tensor twice, once escaped", file(`{"w":${entry("[1]", "[0,4]")},"\\u0077":${entry("[1]", "[0,4]")}}`, 4), "occurs twice"],
    ["a field twice", file('{"w":{"dtype":"F32","dtype":"F16"}}'), 'key "dtype" occurs twice'],
    ["deep nesting", file(`{"w":${"[".repeat(100_000)}`), "nested deeper"],
    ["deep objects", file('{"a":'.repeat(20_000)), "nested deeper"],
    ["__proto__ as a tensor", file('{"__proto__":{"shape":[1]}}'), "tensor __proto__"],
    ["constructor as a tensor", file('{"constructor":1}'), "tensor constructor: not an object"],
    ["metadata that is no object", file('{"__metadata__":[]}'), "__metadata__ is not an object"],
    ["metadata that is no text", file('{"__metadata__":{"a":1}}'), "something else than text"],
    ["metadata with a nested __proto__", file('{"__metadata__":{"__proto__":{"x":"y"}}}'), "something else than text"],
    ["a tensor that is a number", file('{"w":1}'), "tensor w: not an object"],
    ["a missing field", file('{"w":{"dtype":"F32","shape":[1]}}'), "data_offsets are expected"],
    ["an extra field", file('{"w":{"dtype":"F32","shape":[0],"data_offsets":[0,0],"x":1}}'), "x; dtype, shape and data_offsets"],
    ["an unknown type", file(one("[1]", "[0,4]", '"F31"'), 4), 'type "F31" is unknown'],
    ["a type below a byte", file(one("[2]", "[0,1]", '"F4"'), 1), 'type "F4" is unknown'],
    ["a type of the prototype", file(one("[1]", "[0,4]", '"toString"'), 4), 'type "toString" is unknown'],
    ["a type that is a number", file(one("[1]", "[0,4]", "32"), 4), "type 32 is unknown"],
    ["a negative size", file(one("[-1]", "[0,4]"), 4), "its shape is not"],
    ["a size of minus zero", file(one("[-0]", "[0,0]")), "is expected"],
    ["a fractional size", file(one("[1.5]", "[0,6]"), 6), "is expected"],
    ["a whole size written as a fraction", file(one("[1.0]", "[0,4]"), 4), "is expected"],
    ["a shape that is no list", file(one('"1"', "[0,4]"), 4), "its shape is not"],
    ["nine dimensions", file(one("[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4), "9 dimensions"],
    ["a size of 2^53+1", file(one("[9007199254740993]", "[0,4]"), 4), "out of range"],
    ["a size of 1e400", file(one("[1e400]", "[0,4]"), 4), "is expected"],
    ["a product that overflows", file(one("[4294967296,4294967296]", "[0,4]"), 4), "larger than any file"],
    ["a product that wraps to the right size", file(one("[9007199254740991,9007199254740991,1]", "[0,4]"), 4), "larger than any file"],
    ["one offset", file(one("[1]", "[4]"), 4), "not two whole numbers"],
    ["three offsets", file(one("[1]", "[0,4,8]"), 8), "not two whole numbers"],
    ["a negative offset", file(one("[1]", "[-4,0]"), 4), "not two whole numbers"],
    ["begin after end", file(one("[1]", "[4,0]"), 4), "after its end"],
    ["size unlike type and shape", file(one("[2]", "[0,4]"), 4), "ask for 8 bytes, its offsets hold 4"],
    ["half type with full size", file(one("[1]", "[0,4]", '"BF16"'), 4), "ask for 2 bytes, its offsets hold 4"],
    ["beyond the end", file(one("[2]", "[0,8]"), 4), "reaches beyond the end"],
    ["a hole at the start", file(one("[1]", "[4,8]"), 8), "a hole lies before it"],
    ["a hole in between", file(two("[0,4]", "[8,12]"), 12), "tensor b: a hole"],
    ["overlap", file(two("[0,4]", "[2,6]"), 6), "tensor b: overlaps"],
    ["two names for one range", file(two("[0,4]", "[0,4]"), 4), "overlaps"],
    ["bytes after the last tensor", file(one("[1]", "[0,4]"), 5), "1 bytes after the last tensor"],
    ["data without a tensor", file("{}", 3), "3 bytes after the last tensor"],
    ["truncated data", file(one("[4]", "[0,16]"), 15), "reaches beyond the end"],
  ];

  test.each(corpus)("%s", (_, content, why) => {
    expect(() => parse(content)).toThrow(expect.objectContaining({ reason: "file_malformed" satisfies FaultReason }));
    expect(() => parse(content)).toThrow(why);
    expect(() => parse(content)).toThrow(FILE);
  });

  test("too many tensors", () => {
    const entries = Array.from({ length: 9000 }, (_, index) => `"${index}":${entry("[0]", "[0,0]")}`);
    expect(() => parse(file(`{${entries}}`))).toThrow("9000 tensors, more than the 8192 accepted");
  });
});

describe("a good file", () => {
  test("says where its tensors are", () => {
    const header = parse(file(`{"__metadata__":{"format":"pt"},"b":${entry("[2,1]", "[4,12]")},"a":${entry("[]", "[0,4]")}}  `, 12));
    expect(header.metadata).toEqual(new Map([["format", "pt"]]));
    expect([...header.tensors.keys()]).toEqual(["a", "b"]);
    expect(header.tensors.get("b")).toEqual({
      name: "b",
      file: FILE,
      type: "F32",
      shape: [2, 1],
      offsetBytes: header.dataOffsetBytes + 4,
      sizeBytes: 8,
    });
  });

  test("may have no tensors, and tensors without values", () => {
    expect(parse(file("{}")).tensors.size).toBe(0);
    expect(parse(file(`{"a":${entry("[0,5]", "[0,0]")},"b":${entry("[1]", "[0,4]")},"c":${entry("[0]", "[4,4]")}}`, 4)).tensors.size).toBe(
      3,
    );
  });
});

test("what the writer writes is what the reader reads", () => {
  const type = fc.constantFrom<StoredType[]>("F32", "F16", "BF16", "I64", "U8", "BOOL");
  const tensor = fc.record({ name: fc.string({ unit: "binary" }), type, shape: fc.array(fc.nat(3), { maxLength: 4 }) });
  const tensors = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 6 });
  fc.assert(
    fc.property(tensors, fc.dictionary(fc.string(), fc.string()), (list, metadata) => {
      fc.pre(list.every(({ name }) => name !== "__metadata__"));
      const toWrite = list.map((item) => ({ ...item, data: new Uint8Array(storedSize(item.type, item.shape)!) }));
      const header = encodeHeader(toWrite, metadata);
      const read = parse(Buffer.concat([header, ...toWrite.map(({ data }) => data)]));
      expect(header.length % 64).toBe(0);
      expect(read.metadata).toEqual(new Map(Object.entries(metadata)));
      for (const { name, type: expected, shape } of list) expect(read.tensors.get(name)).toMatchObject({ type: expected, shape });
    }),
    { numRuns: 300 },
  );
});

test("any mutation of a good file is read or refused, never anything else", () => {
  const good = file(
    `{"__metadata__":{"format":"pt"},"base_model.model.layers.0.q.lora_A.weight":${entry("[2,2]", "[0,16]")},"b":${entry("[2]", "[16,20]", '"F16"')}}`,
    20,
  );
  const edit = fc.record({ at: fc.nat(good.length - 1), value: fc.nat(255), drop: fc.nat(3), insert: fc.uint8Array({ maxLength: 3 }) });
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      let bytes = good.slice();
      for (const { at, value, drop, insert } of edits) {
        bytes = new Uint8Array(Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + drop)]));
        if (bytes.length > 0) bytes[at % bytes.length] = value;
      }
      try {
        const { tensors, dataOffsetBytes } = parse(bytes);
        const covered = [...tensors.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, dataOffsetBytes);
        expect(covered).toBe(bytes.length);
      } catch (error) {
        if (!isFault(error, "file_malformed")) throw error;
      }
    }),
    { numRuns: RUNS },
  );
});

describe("on disk", () => {
  test("a link is followed for a base and refused for a delta; a folder or a missing file is named", async () => {
    const directory = await mkdtemp(path.join(tmpdir(), "safetensors-"));
    const target = path.join(directory, "blob");
    const link = path.join(directory, "model.safetensors");
    await writeFile(target, file(one("[1]", "[0,4]"), 4));
    await symlink(target, link);
    await mkdir(path.join(directory, "folder"));
    expect((await readSafetensorsHeader(link, DELTA_HEADER_LIMITS)).tensors.size).toBe(1);
    const refused = (name: string, links?: "refuse") => readSafetensorsHeader(path.join(directory, name), DELTA_HEADER_LIMITS, links);
    await expect(refused("model.safetensors", "refuse")).rejects.toThrow("model.safetensors: a symbolic link");
    await expect(refused("folder")).rejects.toThrow("folder: not a regular file");
    await expect(refused("nothing")).rejects.toThrow(expect.objectContaining({ reason: "file_missing" }));
  });
});
