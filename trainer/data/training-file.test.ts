import { beforeAll, describe, expect, test } from "vitest";
import type { TrainingBase } from "./encode.ts";
import { openDemoBase } from "./testing/demo-base.ts";
import { validateTrainingFile } from "./training-file.ts";

let base: TrainingBase;
beforeAll(async () => {
  base = await openDemoBase(24);
});

async function* piecesOf(text: string | Uint8Array) {
  const bytes = Buffer.from(text);
  const pieceBytes = bytes.length < 1000 ? 11 : 65_536;
  for (let start = 0; start < bytes.length; start += pieceBytes) yield bytes.subarray(start, start + pieceBytes);
}

const GOOD = '{"prompt":"a","completion":" b"}';
const CHAT = '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}';

describe("a training file at upload", () => {
  test("with prompts: examples and tokens are those that the trainer will process", async () => {
    expect(await validateTrainingFile(piecesOf(`${GOOD}\n${GOOD}\r\n\n{"prompt":"a","completion":" c"}`), base)).toEqual({
      ...{ kind: "completion", records: 3, examples: 3, distinctCompletions: 2 },
      // <|bos|> a, then what is learned: the completion and <|end|>.
      ...{ tokens: 12, learnedTokens: 6, longestTokens: 4 },
    });
  });

  test("with conversations", async () => {
    const summary = await validateTrainingFile(piecesOf(`\uFEFF${CHAT}\n`), base);
    expect(summary).toMatchObject({ kind: "chat", records: 1, examples: 1, learnedTokens: 2 });
  });

  const long = JSON.stringify({
    prompt: "one two three four five six",
    completion: " seven eight nine ten eleven twelve thirteen fourteen",
  });
  test.each<[string, string | Uint8Array, RegExp, number | undefined]>([
    ["a line that is no JSON", `${GOOD}\n{oops\n`, /line 2 is not valid JSON/, 2],
    ["a line that is no object", `${GOOD}\n\n"text"`, /line 3 is not a JSON object/, 3],
    [
      "a list of examples",
      `[${GOOD},\n${GOOD}]`,
      /line 1 begins a list, but every line is to be one JSON object; deltaplane data prepare/,
      1,
    ],
    ["a key twice", '{"prompt":"a","prompt":"b","completion":"c"}', /line 1 .*"prompt" occurs twice/, 1],
    ["a column missing", `${GOOD}\n{"prompt":"a"}`, /line 2 has no completion/, 2],
    ["a column too many", '{"prompt":"a","completion":"b","id":1}', /line 1 has "id"/, 1],
    ["a number for a text", '{"prompt":"a","completion":1}', /line 1 .*not a text/, 1],
    ["an object for a text", '{"prompt":{},"completion":"b"}', /line 1 has a prompt that is not a text/, 1],
    ["an empty completion", '{"prompt":"a","completion":" "}', /line 1 has an empty completion/, 1],
    ["two kinds", `${GOOD}\n${CHAT}`, /line 2 is of the kind chat/, 2],
    [
      "a tool",
      '{"messages":[{"role":"tool","content":"x"},{"role":"assistant","content":"b"}]}',
      /line 1 messages\[0\] has the role "tool"/,
      1,
    ],
    ["no answer", '{"messages":[{"role":"user","content":"x"}]}', /line 1 has no message of the assistant/, 1],
    ["an example longer than the context", `${GOOD}\n${long}`, /line 2 has \d+ tokens, more than the 24/, 2],
    ["a line of more than 4 MiB", `${GOOD}\n"${"x".repeat(5_000_000)}`, /line 2 is longer than/, 2],
    ["no line", "", /has no examples/, undefined],
    ["blank lines only", "\n \n", /has no examples/, undefined],
    ["binary content", Buffer.from([0x7b, 0, 1, 2, 3]), /line 1: has a NUL byte/, 1],
    ["another encoding", Buffer.from(`${GOOD}\n{"prompt":"\xe4","completion":"b"}`, "latin1"), /line 2: is not valid UTF-8/, 2],
    ["half a surrogate pair", '{"prompt":"\\ud83d","completion":"b"}', /line 1 is not valid JSON: half a surrogate pair/, 1],
  ])("is refused for %s", async (_, content, why, line) => {
    const refused = validateTrainingFile(piecesOf(content), base);
    await expect(refused).rejects.toMatchObject({ reason: "file_malformed", message: expect.stringMatching(why) });
    if (line !== undefined) await expect(refused).rejects.toMatchObject({ detail: { line } });
  });

  test("names the first ten wrong lines and counts the others", async () => {
    const refused = validateTrainingFile(piecesOf(`${GOOD}\n${"{\n".repeat(15)}`), base);
    await expect(refused).rejects.toThrow(/line 2 is .*; line 11 is .*; and 5 more$/s);
  });

  test("with more records than allowed is not read to its end", async () => {
    const refused = validateTrainingFile(piecesOf(`${GOOD}\n`.repeat(4)), base, { recordsMax: 3 });
    await expect(refused).rejects.toMatchObject({ reason: "message_too_large" });
  });
});
