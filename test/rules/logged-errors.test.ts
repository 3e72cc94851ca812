import { expect, test } from "vitest";
import { isTest, sourceFiles, withoutComments } from "./source-files.ts";

/** pino writes an error's message, stack and cause under `err`; under any other name it keeps only the enumerable fields, and the reason is lost. */
const LOGGED = /\b#?log\??\.(?:info|warn|error)\(\s*\{([^}]*)\}/g;
const OTHER_NAME = /(?:^|,)\s*(?:error|cause|failure|fault)\s*(?:[:,]|$)/;

test("errors are logged under the name by which they are written whole", () => {
  const lost = sourceFiles()
    .filter(({ path }) => !isTest(path))
    .flatMap(({ path, text }) =>
      [...withoutComments(text).matchAll(LOGGED)].filter(([, fields]) => OTHER_NAME.test(fields!)).map(([call]) => `${path}: ${call}`),
    );
  expect(lost).toEqual([]);
});
