import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "../..");

export interface SourceFile {
  /** Relative to the root, with `/`. */
  readonly path: string;
  /** Its first folder; "" for files in the root. */
  readonly folder: string;
  readonly text: string;
}

/** Every TypeScript file that we write: tracked or new, not generated. */
export function sourceFiles(): readonly SourceFile[] {
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.ts", "*.tsx"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return listed
    .split("\n")
    .filter((path) => path !== "" && !path.startsWith("proto/generated/"))
    .flatMap((path) => {
      const text = readIfPresent(join(ROOT, path));
      return text === undefined ? [] : [{ path, folder: path.includes("/") ? path.slice(0, path.indexOf("/")) : "", text }];
    });
}

function readIfPresent(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined; // Deleted, but not yet committed.
    throw error;
  }
}

/** Whether a file is a test or serves tests only. */
export function isTest(path: string): boolean {
  return path.startsWith("test/") || /\.test\.ts$|contract-suite\.ts$|\/testing\//.test(path);
}

/** The text with comments blanked and lines kept: what a rule about code looks at. */
export function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " ")).replace(/(^|\s)\/\/[^\n]*/g, "$1");
}
