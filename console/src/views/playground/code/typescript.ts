import type { Call } from "../call.ts";
import { splitForeign } from "./foreign-fields.ts";
import type { Place } from "./snippet.ts";

export function typescriptSnippet({ path, body }: Call, { origin }: Place): string {
  const chat = path === "/v1/chat/completions";
  const { own, foreign } = splitForeign(body);
  const literal = (value: unknown) => JSON.stringify(value, null, 2).replaceAll("\n", "\n  ");
  const extra = JSON.stringify(Object.fromEntries(foreign));
  return [
    `import OpenAI from "openai";`,
    "",
    `const openai = new OpenAI({ baseURL: ${JSON.stringify(`${origin}/v1`)}, apiKey: process.env["DELTAPLANE_API_KEY"]! });`,
    `const answer = await openai.${chat ? "chat.completions" : "completions"}.create({`,
    ...own.map(([name, value]) => `  ${name}: ${literal(value)},`),
    ...(foreign.length > 0 ? [`  ...(${extra} as object), // not OpenAI's, understood here`] : []),
    "});",
    `for (const choice of answer.choices) console.log(choice.${chat ? "message.content" : "text"});`,
  ].join("\n");
}
