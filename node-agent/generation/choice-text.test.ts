import { beforeAll, describe, expect, it } from "vitest";
import { openTextCodec, type TextCodec } from "#model";
import { GOLDEN_BASE, goldenInfo } from "../testing/golden-base.ts";
import { createChoiceText } from "./choice-text.ts";

describe("the text of a choice", () => {
  let codec: TextCodec;
  beforeAll(async () => {
    codec = await openTextCodec(GOLDEN_BASE, await goldenInfo());
  });
  const tokens = (text: string) => codec.encode(text, { addSpecialTokens: false });

  it("leaves out the token that ends it, also one that has a text", async () => {
    const [visible] = await tokens("x");
    expect(createChoiceText(codec, []).push(visible!, "stop")).toEqual({ text: "", finish: "stop" });
    expect(createChoiceText(codec, []).push(visible!, "length")).toEqual({ text: "x", finish: "length" });
  });

  it("gives what was held back at the end, half a character as U+FFFD", async () => {
    const text = createChoiceText(codec, ["xy"]);
    const [x] = await tokens("x");
    const [half] = await tokens("\u6771");
    expect(text.push(x!, undefined)).toEqual({ text: "", finish: undefined });
    expect(text.push(half!, "length")).toEqual({ text: "x\uFFFD", finish: "length" });
  });

  it("prefers the stop string where the last token completes one", async () => {
    const [x] = await tokens("x");
    expect(createChoiceText(codec, ["x"]).push(x!, "length")).toEqual({ text: "", finish: "stop" });
  });
});
