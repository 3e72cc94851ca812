import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** The commit that was measured: short hash, `+changes` when the working tree differs from it, `none` outside a repository. */
export type Commit = string;

const run = promisify(execFile);

export async function readCommit(directory: string = import.meta.dirname): Promise<Commit> {
  try {
    const { stdout: hash } = await run("git", ["rev-parse", "--short=12", "HEAD"], { cwd: directory });
    const { stdout: changes } = await run("git", ["status", "--porcelain", "--untracked-files=no"], { cwd: directory });
    return changes.trim() === "" ? hash.trim() : `${hash.trim()}+changes`;
  } catch {
    return "none"; // An unpacked archive, or no git at all: figures stay useful, only unattributed.
  }
}
