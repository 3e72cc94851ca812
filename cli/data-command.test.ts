import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "deltaplane-data-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function prepare(...args: string[]) {
  const env = { ...process.env, DELTAPLANE_HOME: folder, DELTAPLANE_SERVER: undefined, DELTAPLANE_ADMIN_SERVER: undefined, NO_COLOR: "1" };
  const main = join(import.meta.dirname, "main.ts");
  return spawnSync(process.execPath, [main, "data", "prepare", ...args], { encoding: "utf8", env, cwd: folder });
}

const ROWS = Array.from({ length: 12 }, (_, index) => `${JSON.stringify({ Prompt: `What is ${index}`, completion: `it is ${index}` })}\n`);

describe("deltaplane data prepare", () => {
  test("away from a terminal does what is necessary, names the rest, and prints the next command alone on stdout", () => {
    writeFileSync(join(folder, "faq.jsonl"), `${ROWS.join("")}{"Prompt":"?","completion":""}\n`);
    const { status, stdout, stderr } = prepare("faq.jsonl", "--price", "8");
    expect([status, stdout]).toEqual([0, "deltaplane ft create -t faq_prepared.jsonl\n"]);
    expect(stderr).toMatch(/rows +12 of 13 kept, 1 dropped\n +empty completions: 1, lines 13\n/);
    expect(stderr).toMatch(/epochs +8: there are only 12/);
    expect(stderr).toMatch(/cost +\d+ tokens in all, \$0\.\d+ at \$8\.00 per million/);
    expect(stderr).toMatch(/left +recommended and not done: prompt separator, completion prefix, /);
    expect(readFileSync(join(folder, "faq_prepared.jsonl"), "utf8").split("\n")[1]).toBe('{"prompt":"What is 1","completion":"it is 1"}');
  });

  test("-y takes every recommendation; -o json prints one object", () => {
    writeFileSync(join(folder, "the faq.jsonl"), ROWS.join(""));
    const { status, stdout } = prepare("the faq.jsonl", "-y", "--split", "-o", "json", "--base", "demo-base");
    expect(status).toBe(0);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({
      ...{
        source: "the faq.jsonl",
        format: "JSONL",
        kind: "completion",
        task: "conditional",
        base: "demo-base",
        separator: " ->",
        stop: "\n",
      },
      ...{ rows: { read: 12, kept: 12, dropped: 0 }, costUsd: null, files: { train: { rows: 9 }, valid: { rows: 3 } } },
      next: "deltaplane ft create -t 'the faq_prepared_train.jsonl' -v 'the faq_prepared_valid.jsonl' -m demo-base",
    });
    expect(report.trainedTokens).toBe(report.epochs * report.files.train.tokens);
  });

  test("of a classification says that nothing is kept apart, until something is", () => {
    const labels = Array.from({ length: 12 }, (_, index) =>
      JSON.stringify({ prompt: `Even: ${index} ->`, completion: index % 2 ? " no" : " yes" }),
    );
    writeFileSync(join(folder, "labels.jsonl"), labels.join("\n"));
    const whole = prepare("labels.jsonl");
    expect(whole.stderr).toContain("left       no examples are kept apart, to measure with (--split)");
    expect(whole.stdout).toBe("deltaplane ft create -t labels.jsonl\n");
    const split = prepare("labels.jsonl", "--split");
    expect(split.stderr).not.toContain("--split");
    expect(split.stdout).toBe("deltaplane ft create -t labels_prepared_train.jsonl -v labels_prepared_valid.jsonl --classification\n");
  });

  test.each([
    [["none.jsonl"], 4, "none.jsonl cannot be read"],
    [["notes.docx"], 2, "name the file by its format"],
    [["bad.jsonl"], 1, "line 2 is not valid JSON"],
    [["latin.csv"], 1, "latin.csv, line 2: is not valid UTF-8"],
    [["faq.jsonl", "--base", "nowhere"], 1, "no cluster runs in this folder"],
    [["faq.jsonl", "--price", "cheap"], 2, "it must be dollars like 12.5"],
    [["faq.jsonl", "--format", "poem"], 2, "completion, chat"],
    [["faq.jsonl", "--tokens-per-second", "0"], 2, "not a positive number"],
  ])("%j ends with %i and says why", (args, code, complaint) => {
    writeFileSync(join(folder, "faq.jsonl"), ROWS.join(""));
    writeFileSync(join(folder, "bad.jsonl"), `${ROWS[0]}oops\noops\n`);
    writeFileSync(join(folder, "latin.csv"), Buffer.from("prompt,completion\nSch\xf6n,beautiful\n", "latin1"));
    const before = readdirSync(folder).length;
    const { status, stdout, stderr } = prepare(...args);
    expect([status, stdout]).toEqual([code, ""]);
    expect(stderr).toContain(complaint);
    expect(readdirSync(folder).length).toBe(before);
  });
});
