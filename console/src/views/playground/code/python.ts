import type { Call } from "../call.ts";
import { splitForeign } from "./foreign-fields.ts";
import type { Place } from "./snippet.ts";

export function pythonSnippet({ path, body }: Call, { origin }: Place): string {
  const chat = path === "/v1/chat/completions";
  const { own, foreign } = splitForeign(body);
  const extra = foreign.map(([name, value]) => `${JSON.stringify(name)}: ${literal(value)}`).join(", ");
  return [
    "import os",
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url=${literal(`${origin}/v1`)}, api_key=os.environ["DELTAPLANE_API_KEY"])`,
    `answer = client.${chat ? "chat.completions" : "completions"}.create(`,
    ...own.map(([name, value]) => `    ${name}=${literal(value)},`),
    ...(foreign.length > 0 ? [`    extra_body={${extra}},`] : []),
    ")",
    "for choice in answer.choices:",
    `    print(choice.${chat ? "message.content" : "text"})`,
  ].join("\n");
}

/** JSON's strings and numbers are Python's; its words are not. */
function literal(value: unknown): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const pairs = Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${literal(each)}`);
    return `{${pairs.join(", ")}}`;
  }
  return JSON.stringify(value);
}
