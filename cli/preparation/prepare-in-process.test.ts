import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { prepareInProcess } from "./prepare-in-process.ts";

const BASE = { name: "demo-base", directory: join(import.meta.dirname, "../../models/demo-base") };
const CSV = `Prompt,Completion\n${Array.from({ length: 12 }, (_, row) => `question ${row} ?,answer ${row}`).join("\n")}\nempty,\n`;

async function* content(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

const prepare = (filename: string, text: string, signal = new AbortController().signal, declined: readonly string[] = []) =>
  prepareInProcess({ filename, content: content(text), base: BASE, kind: undefined, declined: new Set(declined), split: false }, signal);
const scratch = async () => (await readdir(tmpdir())).filter((name) => name.startsWith("deltaplane-preparation-"));

test("a table becomes examples, with what was found and what it would cost; its folder goes with it", async () => {
  const before = await scratch();
  {
    await using prepared = await prepare("../../evil\u0000.CSV", CSV, undefined, ["completion space", "prompt separator"]);
    const { report, train } = prepared;
    expect(report).toMatchObject({ format: "CSV", kind: "completion", rows: { read: 13, kept: 12, dropped: 1 } });
    expect(report.trainedTokens).toBe(report.tokens.total * report.epochs);
    expect(report.steps.filter(({ kind, applied }) => kind === "recommended" && !applied).length).toBeGreaterThan(0);
    const lines = Buffer.concat(await Array.fromAsync(train!))
      .toString()
      .trim()
      .split("\n");
    expect(lines.map((line) => JSON.parse(line))).toContainEqual(expect.objectContaining({ prompt: "question 3 ?" }));
  }
  expect(await scratch()).toEqual(before);
});

test("a file without examples is refused, and no message names a folder of ours", async () => {
  const refused = await prepare("broken.csv", "question,answer\n1,2\n").catch((error: unknown) => error);
  expect(refused).toMatchObject({ reason: "file_malformed" });
  expect((refused as Error).message).not.toContain(tmpdir());
});

test("what nobody waits for is killed, and leaves nothing", async () => {
  const before = await scratch();
  const gone = new AbortController();
  const prepared = prepare("examples.csv", CSV, gone.signal);
  gone.abort(new Error("nobody waits"));
  await expect(prepared).rejects.toThrow("nobody waits");
  expect(await scratch()).toEqual(before);
});
