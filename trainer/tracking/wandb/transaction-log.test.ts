import { crc32 } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { FILE_HEADER, frameRecord, readRecords } from "./transaction-log.ts";

/** A file of these records. */
function fileOf(records: readonly Uint8Array[]): Buffer {
  return records.reduce<Buffer>((file, record) => Buffer.concat([file, frameRecord(record, file.length)]), Buffer.from(FILE_HEADER));
}

test("the checksum is plain CRC-32: the check value of its catalogue", () => {
  expect(crc32("123456789").toString(16)).toBe("cbf43926");
});

test("a small file, byte for byte", () => {
  // Header ":W&B" E1BE 00; then crc32("\x01" + "abc"), length 3, type 1.
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(crc32(Buffer.from("\u0001abc")));
  expect(fileOf([Buffer.from("abc")]).toString("hex")).toBe(`3a572642e1be00${checksum.toString("hex")}030001616263`);
});

test("a record that crosses a block is first, middle and last chunks, the first block shorter by the header", () => {
  const file = fileOf([new Uint8Array(70_000).fill(7)]);
  const chunk = (offset: number) => [file.readUInt16LE(offset + 4), file.readUInt8(offset + 6)];
  expect(chunk(7)).toEqual([32_768 - 7 - 7, 2]);
  expect(chunk(32_768)).toEqual([32_768 - 7, 3]);
  expect(chunk(65_536)).toEqual([70_000 - 32_754 - 32_761, 4]);
});

test("what is left of a block and too small for a chunk's header is zeros", () => {
  const filler = new Uint8Array(32_768 - 7 - 7 - 5); // Leaves five bytes.
  const file = fileOf([filler, Buffer.from("next")]);
  expect(file.subarray(32_763, 32_768)).toEqual(Buffer.alloc(5));
  expect(file.subarray(32_768 + 7, 32_768 + 11).toString()).toBe("next");
});

test("what is written is read, of any sizes; and cut anywhere, the whole records before the cut", () => {
  const size = fc.oneof(
    fc.integer({ min: 0, max: 40 }),
    fc.integer({ min: 32_700, max: 32_800 }),
    fc.integer({ min: 60_000, max: 100_000 }),
  );
  fc.assert(
    fc.property(fc.array(size, { maxLength: 12 }), fc.double({ min: 0, max: 1, noNaN: true }), (sizes, share) => {
      const records = sizes.map((bytes, index) => Buffer.alloc(bytes, index + 1));
      const file = fileOf(records);
      expect([...readRecords(file)].map(({ record }) => Buffer.from(record))).toEqual(records);
      const cut = Math.floor(share * file.length);
      const whole = [...readRecords(file.subarray(0, cut))];
      expect(whole.map(({ record }) => Buffer.from(record))).toEqual(records.slice(0, whole.length));
      expect(whole.length).toBe([...readRecords(file)].filter(({ end }) => end <= cut).length);
    }),
    { numRuns: 60 },
  );
});

test("a damaged byte ends the reading", () => {
  const file = fileOf([Buffer.from("one"), Buffer.from("two"), Buffer.from("three")]);
  file[file.indexOf("two")] = 0;
  expect([...readRecords(file)].map(({ record }) => record.toString())).toEqual(["one"]);
});
