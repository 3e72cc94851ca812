import { spawnSync } from "node:child_process";
import { stripTypeScriptTypes } from "node:module";
import { describe, expect, test } from "vitest";
import { type Call, callOf } from "../../console/src/views/playground/call.ts";
import { LANGUAGES } from "../../console/src/views/playground/code/snippet.ts";
import { INITIAL_SETTINGS, type Settings } from "../../console/src/views/playground/settings.ts";

/** "View code" is run with clients that print what they are asked for: it must be what the playground itself would send. */

const PLACE = { origin: "http://127.0.0.1:8080", hostname: "127.0.0.1", encrypted: false };
const HOSTILE = `'; touch /tmp/owned; echo '\n"""\${process.exit()} $(reboot) \`id\` \\ %s ünï 🦀 </script>`;
const EVERYTHING: Settings = {
  ...{ max_tokens: 7, temperature: 0.5, top_p: 0.9, top_k: 40, min_p: 0.05, presence_penalty: -1, frequency_penalty: 0.5 },
  ...{ repetition_penalty: 1.1, n: 2, seed: -5, stop: ["\n", HOSTILE], logit_bias: { 42: -100 }, ignore_eos: true },
};
const CALLS: readonly (readonly [string, Call])[] = [
  ["a prompt as the playground begins", callOf("taxly/tax", { kind: "prompt", prompt: "Hello" }, INITIAL_SETTINGS, false)],
  ["a prompt with everything set", callOf(HOSTILE, { kind: "prompt", prompt: HOSTILE }, EVERYTHING, true)],
  [
    "a conversation with everything set",
    callOf(
      "demo-base",
      {
        kind: "chat",
        messages: [
          { role: "system", content: HOSTILE },
          { role: "user", content: "Hello" },
        ],
      },
      EVERYTHING,
      true,
    ),
  ],
];

function snippet(language: string, call: Call): string {
  return LANGUAGES.find(({ id }) => id === language)!.snippet(call, PLACE);
}

function printed(program: string, ...args: readonly string[]): unknown {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return JSON.parse(stdout);
}

const python = spawnSync("python3", ["--version"]).status === 0;

/** Prints the word behind `-d`. */
const SHELL_CLIENT = `while [ "$1" != -d ]; do shift; done; printf %s "$2"; `;

describe.each(CALLS)("%s", (_name, call) => {
  test("with curl", () => {
    expect(printed("sh", "-c", `curl() { ${SHELL_CLIENT} }\n${snippet("curl", call)}`)).toEqual(call.body);
  });

  test("with OpenAI's client for TypeScript", () => {
    const client = `class OpenAI { create(body) { console.log(JSON.stringify(body)); return { choices: [] }; }
      get completions() { return this; } get chat() { return this; } }`;
    const code = snippet("typescript", call);
    const [imported, ...rest] = code.split("\n");
    expect(imported).toBe(`import OpenAI from "openai";`);
    expect(printed(process.execPath, "--input-type=module", "-e", `${client}\n${stripTypeScriptTypes(rest.join("\n"))}`)).toEqual(
      call.body,
    );
  });

  test.skipIf(!python)("with OpenAI's client for Python (skipped without a python3)", () => {
    const client = `import json, sys, types
class Client:
    def __init__(self, **_): self.chat = self.completions = self
    def create(self, extra_body={}, **body):
        print(json.dumps({**body, **extra_body})); return types.SimpleNamespace(choices=[])
sys.modules["openai"] = types.SimpleNamespace(OpenAI=Client)
import os; os.environ["DELTAPLANE_API_KEY"] = "key"
`;
    expect(printed("python3", "-c", client + snippet("python", call))).toEqual(call.body);
  });

  test("with grpcurl, in the wire's words", () => {
    const request = printed("sh", "-c", `grpcurl() { ${SHELL_CLIENT} }\n${snippet("grpcurl", call)}`);
    const { model, prompt, messages, temperature, stop = undefined } = call.body;
    expect(request).toMatchObject({
      model,
      prompt: messages ? { chat: { messages } } : { text: prompt },
      sampling: { temperature, ...(stop !== undefined && { stop, topK: 40, ignoreEos: true, seed: "18446744073709551611", logprobs: 5 }) },
    });
  });
});
