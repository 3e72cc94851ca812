/**
 * The password of `machine` in a `~/.netrc`, as `wandb login` writes it; undefined when there is none. Tokens are separated by
 * blanks and may be quoted; `#` begins a comment; `default` stands for every machine; macros end at an empty line.
 */
export function netrcPassword(text: string, machine: string): string | undefined {
  const tokens = text
    .replace(/(^|\n)\s*macdef[^\n]*\n(?:[^\n]+\n?)*/g, "$1")
    .split("\n")
    .flatMap((line) =>
      [...line.replace(/(^|\s)#.*$/, "").matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? match[3]!),
    );
  let here = false;
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index];
    if (token === "default") here = true;
    else if (token === "machine") here = tokens[++index] === machine;
    else if (token === "login" || token === "account") index++;
    else if (token === "password" && here) return tokens[index + 1];
    else if (token === "password") index++;
  }
  return undefined;
}
