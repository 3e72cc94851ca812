import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { workbook } from "../testing/workbook.ts";
import { openDataFile } from "./data-file.ts";
import { readCsv, readTsv } from "./delimited-reader.ts";
import { readJson } from "./json-reader.ts";
import { readJsonl } from "./jsonl-reader.ts";
import { RECORD_BYTES_MAX, type RecordReader, type SourceRecord } from "./record.ts";
import { readTxt } from "./txt-reader.ts";
import { readXlsx } from "./xlsx-reader.ts";

const folder = mkdtempSync(join(tmpdir(), "deltaplane-records-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Reads a content that comes in pieces of `pieceBytes`; a record becomes "line: json", or "line! problem". */
async function read(reader: RecordReader, content: string | Uint8Array, pieceBytes = 1 << 16): Promise<string[]> {
  const bytes = Buffer.from(content);
  async function* pieces() {
    for (let start = 0; start < bytes.length; start += pieceBytes) yield bytes.subarray(start, start + pieceBytes);
  }
  const records: SourceRecord[] = [];
  for await (const batch of reader(pieces(), "file")) records.push(...batch);
  return records.map((record) =>
    "fields" in record ? `${record.line}: ${JSON.stringify(record.fields)}` : `${record.line}! ${record.problem}`,
  );
}

const READABLE: readonly (readonly [string, RecordReader, string, readonly string[]])[] = [
  ["lines", readJsonl, '{"a":1}\n{"a":2}', ['1: {"a":1}', '2: {"a":2}']],
  ["blank lines", readJsonl, '\n{"a":1}\n \t\n{"a":2}\n\n', ['2: {"a":1}', '4: {"a":2}']],
  ["mixed line ends", readJsonl, '{"a":1}\r\n{"a":2}\r{"a":3}\n\r\n{"a":4}', ['1: {"a":1}', '2: {"a":2}', '3: {"a":3}', '5: {"a":4}']],
  ["a byte order mark", readJsonl, '\uFEFF{"ä":"€😀"}\n', ['1: {"ä":"€😀"}']],
  ["an array", readJson, '[\n {"a":"],{[\\"\\\\"},\n\n {"a":{"b":[1,2]}}\n]\n', ['2: {"a":"],{[\\"\\\\"}', '4: {"a":{"b":[1,2]}}']],
  ["an empty array", readJson, " [ ] ", []],
  [
    "elements that are no objects",
    readJson,
    '[1,\n{"a":1},\n{"a" 2},]',
    [
      "1! is not a JSON object",
      '2: {"a":1}',
      "3! is not valid JSON: a colon is expected, at offset 6",
      "3! is not valid JSON: a value is expected, at offset 0",
    ],
  ],
  ["a table", readCsv, 'a,b\n1,"x, ""y"""\n\n2,\n', ['2: {"a":"1","b":"x, \\"y\\""}', '4: {"a":"2","b":""}']],
  ["line ends in cells", readCsv, 'a,b\r\n1,"x\r\ny\r\n"\r\n2,z\r\n', ['2: {"a":"1","b":"x\\r\\ny\\r\\n"}', '5: {"a":"2","b":"z"}']],
  ["semicolons", readCsv, "a;b\n1,5;2\n", ['2: {"a":"1,5","b":"2"}']],
  [
    "rows of another width",
    readCsv,
    "a,b\n1\n1,2,3\n4,5",
    ["2! has 1 cells where the header has 2", "3! has 3 cells where the header has 2", '4: {"a":"4","b":"5"}'],
  ],
  ["tabs", readTsv, "a\tb\n1,2\t3\n", ['2: {"a":"1,2","b":"3"}']],
  [
    "text",
    readTxt,
    "one\r\n\ntwo",
    ['1: {"prompt":"","completion":"one"}', '2: {"prompt":"","completion":""}', '3: {"prompt":"","completion":"two"}'],
  ],
];

describe("each format", () => {
  test.each(READABLE)("reads %s, in pieces of any size", async (_, reader, content, expected) => {
    for (const pieceBytes of [1, 2, 3, 7, 1 << 16]) expect(await read(reader, content, pieceBytes)).toEqual(expected);
  });

  test("the first sheet of a workbook, with numbers, dates and cells that are missing", async () => {
    const content = workbook([
      ["prompt", "completion", "when"],
      ["zwei", 2, { date: 45_000 }],
      ["nichts", null, { date: 45_000.5 }],
    ]);
    expect(await read(readXlsx, content)).toEqual([
      '2: {"prompt":"zwei","completion":2,"when":"2023-03-15"}',
      '3: {"prompt":"nichts","completion":null,"when":"2023-03-15T12:00:00.000Z"}',
    ]);
  });
});

const REFUSED: readonly (readonly [string, RecordReader, string | Uint8Array, RegExp])[] = [
  ["bytes that are not UTF-8", readJsonl, Buffer.from('{"a":1}\n{"a":"\xe4"}\n', "latin1"), /line 2: is not valid UTF-8/],
  ["a character cut off by the end", readTxt, Buffer.from([0x61, 0x0a, 0x62, 0xe2, 0x82]), /line 2: is not valid UTF-8/],
  ["NUL bytes", readTxt, "one\ntwo\nth\0ree", /line 3: has a NUL byte/],
  ["UTF-16", readCsv, Buffer.from("\uFEFFprompt", "utf16le"), /is UTF-16; save it as UTF-8/],
  ["gzip", readJsonl, Buffer.from([0x1f, 0x8b, 8, 0, 1]), /is compressed with gzip/],
  ["a workbook named csv", readCsv, workbook([["a"]]), /is a zip archive/],
  ["text named xlsx", readXlsx, "prompt,completion\n", /is not a workbook/],
  ["a damaged workbook", readXlsx, workbook([["a"]]).subarray(0, 300), /is not a workbook/],
  ["an object in a JSON file", readJson, '\n{"a":1}', /line 2: a JSON file must be an array/],
  [
    "an array without an end",
    readJson,
    '[{"a":1},\n{"a":2}\n',
    /line 3: the file ends within the array, in the element that begins on line 2/,
  ],
  ["text after an array", readJson, "[]\n[]", /line 2: there is something after the array's end/],
  ["an array with an endless string", readJson, `[{"a":1},\n{"a":"${"x".repeat(RECORD_BYTES_MAX)}`, /line 2: an element is longer than/],
  ["a column twice", readCsv, "a,b,a\n1,2,3", /line 1: the header names the column "a" twice/],
  ["a quote without an end", readCsv, 'a,b\n1,"2\n3,4\n', /line \d: the file ends within a quoted cell/],
];

test.each(REFUSED)("refuses %s, and says where", async (_, reader, content, why) => {
  await expect(read(reader, content)).rejects.toMatchObject({ reason: "file_malformed", message: expect.stringMatching(why) });
});

test.each([
  ["lines", readJsonl, '{"a":1}\n', '\n{"a":2}'],
  ["text", readTxt, "one\n", "\ntwo"],
] as const)("%s: reads over a line of 100 MB without holding it, and goes on behind it", async (_, reader, before, after) => {
  async function* pieces() {
    yield Buffer.from(before);
    for (let piece = 0; piece < 100; piece++) yield Buffer.alloc(1_000_000, "x");
    yield Buffer.from(after);
  }
  const records: SourceRecord[] = [];
  for await (const batch of reader(pieces(), "file")) records.push(...batch);
  expect(records.map(({ line }) => line)).toEqual([1, 2, 3]);
  expect(records[1]).toEqual({ line: 2, problem: `is longer than the ${RECORD_BYTES_MAX} bytes that a record may have` });
});

describe("a data file", () => {
  test.each([
    ["a.jsonl", '[{"a":1}]', "JSON"],
    ["b.json", ' \n{"a":1}\n{"a":2}', "JSONL"],
    ["c.JSON", '\uFEFF[{"a":1}]', "JSON"],
    ["d.csv", "a\n1", "CSV"],
  ])("%s with %j is %s", async (name, content, format) => {
    writeFileSync(join(folder, name), content);
    expect((await openDataFile(join(folder, name))).format).toBe(format);
  });

  test("needs a name with a known ending, and must be there, and a file", async () => {
    await expect(openDataFile(join(folder, "notes.docx"))).rejects.toMatchObject({ reason: "parameter_invalid" });
    await expect(openDataFile(join(folder, "none.csv"))).rejects.toMatchObject({ reason: "file_missing" });
    await expect(openDataFile("/dev/null.txt/x.csv")).rejects.toMatchObject({ reason: "file_missing" });
  });

  test("that changes while it is read is not prepared by halves", async () => {
    const file = join(folder, "moving.txt");
    writeFileSync(file, "one\n");
    const opened = await openDataFile(file);
    writeFileSync(file, "one\ntwo\n");
    const reading = async () => {
      for await (const _ of opened.records());
    };
    await expect(reading()).rejects.toMatchObject({ reason: "version_conflict" });
  });
});
