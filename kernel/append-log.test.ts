import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openAppendLog } from "./append-log.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "append-log-"));
});
afterEach(() => rm(folder, { recursive: true }));

const open = (options: { sizeBytesMax?: number; segmentBytesMax?: number } = {}) =>
  openAppendLog({ file: join(folder, "log"), sizeBytesMax: 10_000, ...options });
const recoveredText = (log: { recovered: readonly { record: string }[] }) => log.recovered.map(({ record }) => record);

describe("an append log", () => {
  it("gives back, in order, what was appended before it was closed", async () => {
    {
      await using log = await open();
      await Promise.all(["one", "two", '{"text":"drei ü 三"}'].map((record) => log.append(record)));
    }
    await using again = await open();
    expect(recoveredText(again)).toEqual(["one", "two", '{"text":"drei ü 三"}']);
    expect(again.damaged).toEqual([]);
  });

  it("loses at a torn tail, cut at any byte, only the line that is torn, and says so", async () => {
    const records = ["first record", "zweiter Eintrag: ü", "third"];
    {
      await using log = await open();
      for (const record of records) await log.append(record);
    }
    const [name] = await readdir(folder);
    const segment = join(folder, name!);
    const whole = await readFile(segment);
    for (let cut = whole.length; cut >= 0; cut--) {
      await writeFile(segment, whole.subarray(0, cut));
      const log = await open();
      const kept = recoveredText(log);
      expect(kept).toEqual(records.slice(0, kept.length));
      const wholeLines =
        whole
          .subarray(0, cut + 1)
          .toString("latin1")
          .split("\n").length - 1; // A line that lacks only its line feed is whole.
      expect(kept.length).toBe(wholeLines);
      const tornBytes =
        cut -
        Buffer.byteLength(
          records
            .slice(0, kept.length)
            .map((record) => `12345678 ${record}\n`)
            .join(""),
        );
      expect(log.damaged.length).toBe(tornBytes > 0 ? 1 : 0);
      await log[Symbol.asyncDispose]();
    }
  });

  it("never appends behind a torn tail: the next life has its own segment", async () => {
    const first = await open();
    await first.append("kept");
    await first.append("torn");
    await first[Symbol.asyncDispose]();
    const [name] = await readdir(folder);
    await truncate(join(folder, name!), (await readFile(join(folder, name!))).length - 3);
    const second = await open();
    await second.append("after");
    await second[Symbol.asyncDispose]();
    await using third = await open();
    expect(recoveredText(third)).toEqual(["kept", "after"]);
    expect(third.damaged).toMatchObject([{ line: 2 }]);
  });

  it("loses at a flipped bit in the middle only the line it is in", async () => {
    const log = await open();
    for (const record of ["one", "two", "three"]) await log.append(record);
    await log[Symbol.asyncDispose]();
    const [name] = await readdir(folder);
    const bytes = await readFile(join(folder, name!));
    const at = bytes.indexOf("two");
    bytes[at] = bytes[at]! ^ 1;
    await writeFile(join(folder, name!), bytes);
    await using again = await open();
    expect(recoveredText(again)).toEqual(["one", "three"]);
    expect(again.damaged).toMatchObject([{ line: 2 }]);
  });

  it("refuses what does not fit, takes it again after segments were dropped", async () => {
    await using log = await open({ sizeBytesMax: 100, segmentBytesMax: 40 });
    const record = "x".repeat(31); // 41 bytes with its checksum and line feed.
    await log.append(record);
    const second = await log.append(record);
    await expect(log.append(record)).rejects.toMatchObject({ reason: "capacity_exhausted" });
    await log.dropBefore(second);
    await log.append(record);
    expect(await readdir(folder)).toHaveLength(2);
  });

  it("keeps the newest segment until it is closed, then drops that too", async () => {
    const log = await open();
    await log.append("record");
    await log.dropBefore(Number.POSITIVE_INFINITY);
    expect(await readdir(folder)).toHaveLength(1);
    await log[Symbol.asyncDispose]();
    await log.dropBefore(Number.POSITIVE_INFINITY);
    expect(await readdir(folder)).toHaveLength(0);
  });

  it("says when the disk refuses, and goes on when it no longer does", async () => {
    await using log = await open();
    await rm(folder, { recursive: true });
    // The path is nothing for customers, who see the message.
    await expect(log.append("lost")).rejects.toMatchObject({
      reason: "store_unreachable",
      message: "a log on this machine can't be written: ENOENT",
    });
    await mkdir(folder);
    await log.append("kept");
    await using again = await open();
    expect(recoveredText(again)).toEqual(["kept"]);
  });
});
