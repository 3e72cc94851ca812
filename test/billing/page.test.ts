import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readPriceFile } from "../../cli/price-file.ts";
import { EXPORTERS } from "../../router/billing/exports/index.ts";
import { ACME, exported } from "../../router/billing/testing/exported.ts";
import { claimOf, openBooks } from "../../router/billing/testing/open-books.ts";

const PAGE = readFileSync(join(import.meta.dirname, "../../docs/billing.md"), "utf8");

/** The lines of the page's code block in a language; every format is one. */
function example(language: string): readonly string[] {
  const block = new RegExp(`\`\`\`${language}\n([^\`]+)\`\`\``).exec(PAGE)?.[1];
  expect(block, `docs/billing.md has no example of ${language}`).toBeDefined();
  return block!.trimEnd().split("\n");
}

test.each(Object.keys(EXPORTERS) as (keyof typeof EXPORTERS)[])(
  "docs/billing.md shows what an export as %s really looks like",
  async (format) => {
    await using books = await openBooks();
    await books.ledger.post([claimOf("req_1", { usage: [1000, 400, 500] })]);
    const { text } = await exported(books, format, { tenantIds: [ACME] });
    for (const line of example(format)) expect(text.split(/\r?\n/)).toContain(line);
  },
);

test("docs/billing.md shows a price list that can be set", async () => {
  const file = JSON.parse(example("json").join("\n")) as { bases: Record<string, unknown> };
  expect(Object.keys(file.bases)).toEqual(["demo-base"]);
  const demo = readPriceFile(join(import.meta.dirname, "../../cli/cluster/demo-prices.json"));
  expect(demo.bases["demo-base"]).toMatchObject({ prompt: "0.10", cachedPrompt: "0.05" });
});
