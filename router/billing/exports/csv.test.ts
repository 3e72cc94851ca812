import { expect, test } from "vitest";
import { exported, fill } from "../testing/exported.ts";
import { claimOf, openBooks } from "../testing/open-books.ts";
import { readCsv } from "../testing/read-csv.ts";

test("csv has one row per request with all it is made of, and one per correction", async () => {
  await using books = await openBooks();
  await fill(books);
  const rows = readCsv((await exported(books, "csv")).text);
  expect(rows.map(({ type, id }) => `${type} ${id}`)).toEqual([
    ...["request req_1", "request req_2", "request req_3", "request req_4", "request req_5"],
    ...["correction c-1", "correction c-2", "request req_6"],
  ]);
  expect(rows[0]).toEqual({
    ...{ type: "request", id: "req_1", time: "2026-11-22T12:00:00.000Z", tenant_id: "acme", project_id: "default" },
    ...{ key_id: "00000000000000aa", model: "acme/bot", base: "demo-base", delta_digest: "", price_version: "1", outcome: "completed" },
    ...{ prompt_tokens: "1000", cached_tokens: "400", completion_tokens: "500", trained_tokens: "0", amount_usd: "0.00042" },
    ...{ corrects_request_id: "", reason: "" },
  });
  expect(rows[5]).toMatchObject({ time: "2026-11-23T14:00:00.000Z", amount_usd: "-0.001234567", corrects_request_id: "req_1", model: "" });
});

test("a text that a spreadsheet would run arrives as text, a negative amount as a number", async () => {
  await using books = await openBooks();
  await books.ledger.post(
    ["=cmd|' /C calc'!A0", "+1", "-1", "@x", 'quote " and, comma'].map((model, index) =>
      claimOf(`r${index}`, { model: model.replaceAll('"', "'") }),
    ),
  );
  await fill(books);
  const rows = readCsv((await exported(books, "csv")).text);
  const models = rows.slice(0, 5).map(({ model }) => model);
  expect(models).toEqual(["'=cmd|' /C calc'!A0", "'+1", "'-1", "'@x", "quote ' and, comma"]);
  expect(rows.find(({ id }) => id === "c-1")).toMatchObject({ reason: `'=SUM(A1:A9), "sorry"\n`, amount_usd: "-0.001234567" });
  for (const row of rows)
    for (const [title, cell] of Object.entries(row)) if (title !== "amount_usd") expect(cell).not.toMatch(/^[=+\-@\t\r]/);
});
