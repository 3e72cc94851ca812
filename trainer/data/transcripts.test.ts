import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isFault } from "#kernel";
import type { TrainingBase } from "./encode.ts";
import { prepareData } from "./index.ts";
import { openDemoBase } from "./testing/demo-base.ts";

/**
 * Each transcript is a story: prose, a file as it came, what was said about it when every recommendation is taken, and
 * what was written. With DELTAPLANE_TRANSCRIPTS=write the last two are written anew, to be read in review.
 */
const FOLDER = join(import.meta.dirname, "transcripts");
const folder = mkdtempSync(join(tmpdir(), "deltaplane-transcripts-"));
afterAll(() => rmSync(folder, { recursive: true }));

let base: TrainingBase;
beforeAll(async () => {
  base = await openDemoBase();
});

const MARK = /^--- (.*)\n/m;

test.each(readdirSync(FOLDER))("%s", async (name) => {
  const text = readFileSync(join(FOLDER, name), "utf8");
  const [prose, file, content] = text.split(MARK) as [string, string, string];
  const own = mkdtempSync(join(folder, "story-"));
  const source = join(own, file);
  writeFileSync(source, content);
  const retold = `${prose}--- ${file}\n${content}${await retell(source)}`;
  if (process.env["DELTAPLANE_TRANSCRIPTS"] === "write") writeFileSync(join(FOLDER, name), retold);
  else expect(text).toBe(retold);
});

async function retell(source: string): Promise<string> {
  let told = "--- said\n";
  const listener = {
    told: ({ kind, message }: { readonly kind: string; readonly message: string }) => {
      told += `[${kind}] ${message}\n`;
    },
    accepts: async () => true,
  };
  try {
    const { files } = await prepareData(source, { base, split: async () => false }, listener);
    if (!files) return `${told}--- nothing written\n`;
    const written = readFileSync(files.train.path, "utf8");
    return `${told.replaceAll(`${dirname(source)}/`, "")}--- ${basename(files.train.path)}\n${written}`;
  } catch (error) {
    if (!isFault(error)) throw error;
    return `${told}[${error.reason}] ${error.message}\n--- nothing written\n`;
  }
}
