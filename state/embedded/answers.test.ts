import { describe, expect, it } from "vitest";
import { VirtualClock } from "#kernel";
import { EmbeddedAnswers } from "./answers.ts";
import { Database } from "./database.ts";

const TERM_MS = 1000;

describe("the answers in a file", () => {
  it("take no more room than they may: those that would be forgotten first are forgotten early, those being done never", async () => {
    using database = new Database(":memory:");
    const answers = new EmbeddedAnswers(database, new VirtualClock(), 10_000);
    const begin = (key: string) => answers.begin({ account: "acme", key, digest: "d", holder: "h", termMs: TERM_MS });
    await begin("running");
    for (const [index, keepMs] of [5000, 3000, 4000, 6000].entries()) {
      await begin(`key-${index}`);
      await answers.finish("acme", `key-${index}`, "h", "x".repeat(3000), keepMs);
    }
    const kinds = await Promise.all(["running", "key-0", "key-1", "key-2", "key-3"].map(async (key) => (await begin(key)).kind));
    expect(kinds).toEqual(["begun", "done", "begun", "done", "done"]);
  });

  it("mean nothing once they have ended, also while they are still in the file", async () => {
    using database = new Database(":memory:");
    const clock = new VirtualClock();
    const answers = new EmbeddedAnswers(database, clock);
    const begin = (key: string, holder = "h") => answers.begin({ account: "acme", key, digest: "d", holder, termMs: TERM_MS });
    for (let index = 0; index < 150; index++) {
      await begin(`key-${index}`);
      await answers.finish("acme", `key-${index}`, "h", "yes", TERM_MS + index);
    }
    await clock.advance(TERM_MS + 150);
    expect(await begin("key-149")).toEqual({ kind: "begun" });
    expect(await begin("key-149", "other")).toEqual({ kind: "running", leftMs: TERM_MS });
  });

  it("leave the file when they have ended, a few with each beginning", async () => {
    using database = new Database(":memory:");
    const clock = new VirtualClock();
    const answers = new EmbeddedAnswers(database, clock);
    const begin = (key: string) => answers.begin({ account: "acme", key, digest: "d", holder: "h", termMs: TERM_MS });
    for (let index = 0; index < 250; index++) await begin(`key-${index}`);
    await clock.advance(TERM_MS);
    const rows = () => database.get("SELECT count(*) AS count, (SELECT bytes FROM answers_size) AS bytes FROM answers");
    for (const left of [151, 52, 3]) {
      await begin(`later-${left}`);
      expect(rows()).toMatchObject({ count: left });
    }
    await clock.advance(TERM_MS);
    await begin("last");
    expect(rows()).toEqual({ count: 1, bytes: "acmelastdh".length });
  });
});
