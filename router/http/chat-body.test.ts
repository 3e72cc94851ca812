import { describe, expect, test } from "vitest";
import { parseChatBody } from "./chat-body.ts";

const parse = (message: object, more: object = {}) => parseChatBody({ model: "m", messages: [message], ...more });

describe("a message", () => {
  test.each([
    [
      { role: "user", content: "hi" },
      { role: "user", content: "hi" },
    ],
    [
      { role: "developer", content: "be brief" },
      { role: "system", content: "be brief" },
    ],
    [
      { role: "user", content: "hi", name: "anna", audio: null, tool_calls: null },
      { role: "user", content: "hi" },
    ],
    [
      {
        role: "user",
        content: [
          { type: "text", text: "a" },
          { type: "text", text: "b" },
        ],
      },
      { role: "user", content: "ab" },
    ],
    [
      { role: "assistant", content: [{ type: "refusal", refusal: "no" }] },
      { role: "assistant", content: "no" },
    ],
    [
      { role: "assistant", content: null, refusal: "no", tool_calls: [] },
      { role: "assistant", content: "no" },
    ],
    [
      { role: "assistant", content: "" },
      { role: "assistant", content: "" },
    ],
    [
      { role: "judge", content: "hi" },
      { role: "judge", content: "hi" },
    ],
  ])("%j is %j to the template", (message, told) => {
    expect(parse(message).messages).toEqual([told]);
  });

  test.each([
    [{ content: "hi" }, "messages[0].role"],
    [{ role: "tool", content: "5" }, "messages[0].role"],
    [{ role: "function", content: "5" }, "messages[0].role"],
    [{ role: "user" }, "messages[0].content"],
    [{ role: "user", content: null }, "messages[0].content"],
    [{ role: "user", content: 5 }, "messages[0].content"],
    [{ role: "user", content: "\ud800" }, "messages[0].content"],
    [{ role: "user", content: [{ type: "image_url", image_url: { url: "x" } }] }, "messages[0].content"],
    [{ role: "user", content: "hi", name: "x".repeat(65) }, "messages[0].name"],
    [{ role: "assistant", content: "hi", tool_calls: [{}] }, "messages[0].tool_calls"],
    [{ role: "assistant", content: "hi", function_call: { name: "f" } }, "messages[0].function_call"],
  ])("%j is refused, naming %s", (message, field) => {
    expect(() => parse(message)).toThrow(expect.objectContaining({ reason: "parameter_invalid", detail: { field } }));
  });
});

test("what changes nothing here is tolerated, whatever it is", () => {
  const harmless = {
    ...{ metadata: { a: "b" }, store: true, service_tier: "flex", user: "u", seed: null, tools: [], tool_choice: "auto", suffix: null },
    ...{
      reasoning_effort: "low",
      verbosity: "low",
      modalities: ["text"],
      response_format: { type: "text" },
      something_of_2031: { deep: [1] },
    },
  };
  expect(parse({ role: "user", content: "hi" }, harmless).messages).toHaveLength(1);
});
