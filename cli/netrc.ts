import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** The content of `~/.netrc`, where W&B's own client keeps its key; "" when there is none. */
export function readNetrc(): string {
  const file = process.env["NETRC"] ?? join(homedir(), ".netrc");
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}
