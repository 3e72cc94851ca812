import { expect, test } from "vitest";
import { z } from "zod";
import { exported, fill, jsonLines } from "../testing/exported.ts";
import { claimOf, openBooks } from "../testing/open-books.ts";

/** CloudEvents 1.0, JSON format, and what OpenMeter asks beyond: a subject, a time, a JSON object as data. */
const Event = z.strictObject({
  specversion: z.literal("1.0"),
  id: z.string().min(1),
  source: z.string().regex(/^\/[a-z0-9/-]+$/, "a URI reference"),
  type: z.string().regex(/^[a-z]+(\.[a-z0-9]+)+$/),
  subject: z.string().min(1),
  time: z.iso.datetime(),
  datacontenttype: z.literal("application/json"),
  data: z.record(z.string(), z.union([z.string(), z.number()])),
});

test("cloudevents are CloudEvents 1.0, each with an id of its own within its source", async () => {
  await using books = await openBooks();
  await fill(books);
  const events = jsonLines((await exported(books, "cloudevents")).text).map((event) => Event.parse(event));
  expect(events).toHaveLength(8);
  expect(new Set(events.map(({ source, id }) => `${source} ${id}`)).size).toBe(8);
  expect(events[0]).toEqual({
    ...{ specversion: "1.0", id: "req_1:1900", source: "/deltaplane/tenants/acme", type: "deltaplane.request.v1", subject: "acme" },
    ...{ time: "2026-11-22T12:00:00.000Z", datacontenttype: "application/json" },
    data: {
      ...{ request_id: "req_1", project_id: "default", key_id: "00000000000000aa", model: "acme/bot", base: "demo-base", price_version: 1 },
      ...{ outcome: "completed", prompt_tokens: 1000, cached_tokens: 400, completion_tokens: 500, amount_usd: "0.00042" },
    },
  });
  expect(events[5]).toMatchObject({
    type: "deltaplane.correction.v1",
    id: "correction:c-1",
    data: { amount_usd: "-0.001234567", request_id: "req_1" },
  });
});

test("a charge that grew is a new revision of its event; one that did not grow keeps its id", async () => {
  await using books = await openBooks();
  await books.ledger.post([
    claimOf("r1", { usage: [10, 0, 3], outcome: "running" }),
    claimOf("r2", { usage: [10, 0, 3], outcome: "running" }),
  ]);
  const ids = async () => jsonLines((await exported(books, "cloudevents")).text).map((event) => Event.parse(event).id);
  expect(await ids()).toEqual(["r1:13", "r2:13"]);
  await books.ledger.post([claimOf("r1", { usage: [10, 0, 4] }), claimOf("r2", { usage: [10, 0, 3] })]);
  expect(await ids()).toEqual(["r1:14", "r2:13"]);
});
