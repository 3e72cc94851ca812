import type { Call } from "../call.ts";
import { shellQuoted } from "./shell-quoted.ts";
import type { Place } from "./snippet.ts";

export function curlSnippet({ path, body }: Call, { origin }: Place): string {
  return [
    `curl ${origin}${path} \\`,
    `  -H "Authorization: Bearer $DELTAPLANE_API_KEY" \\`,
    `  -H "Content-Type: application/json" \\`,
    `  -d ${shellQuoted(JSON.stringify(body, null, 2))}`,
  ].join("\n");
}
