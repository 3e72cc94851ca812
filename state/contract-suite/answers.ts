import { describe, expect, it } from "vitest";
import { MINUTE, SECOND } from "#kernel";
import type { Begun } from "../contract.ts";
import type { OpenStore } from "../contract-suite.ts";
import { ANSWER_BYTES_MAX, DURATION_MS_MAX } from "../limits.ts";

const TERM_MS = 30 * SECOND;
const KEEP_MS = 10 * MINUTE;
const BEGUN: Begun = { kind: "begun" };
const OTHER: Begun = { kind: "other_question" };

/** One question, one answer under an idempotency key. */
export function describeAnswers(open: OpenStore): void {
  describe("an answer", () => {
    const begin = (holder: string, more: { account?: string; key?: string; digest?: string } = {}): Promise<Begun> =>
      open.store.answers.begin({ account: "acme", key: "key-1", digest: "digest-1", holder, termMs: TERM_MS, ...more });
    const finish = (holder: string, answer: string) => open.store.answers.finish("acme", "key-1", holder, answer, KEEP_MS);
    const abandon = (holder: string) => open.store.answers.abandon("acme", "key-1", holder);

    it("is begun by one, and kept for all who ask the same again", async () => {
      expect(await begin("one")).toEqual(BEGUN);
      await open.clock.advance(10 * SECOND);
      expect(await begin("two")).toEqual({ kind: "running", leftMs: 20 * SECOND });
      await finish("one", '{"text":"Ä 👋"}');
      for (const holder of ["one", "two"]) expect(await begin(holder)).toEqual({ kind: "done", answer: '{"text":"Ä 👋"}' });
    });

    it("belongs to one question, while it is being done and afterwards", async () => {
      await begin("one");
      for (const holder of ["one", "two"]) expect(await begin(holder, { digest: "another" })).toEqual(OTHER);
      await finish("one", "yes");
      for (const holder of ["one", "two"]) expect(await begin(holder, { digest: "another" })).toEqual(OTHER);
      expect(await begin("two")).toEqual({ kind: "done", answer: "yes" });
    });

    it("belongs to one account and one key", async () => {
      await begin("one");
      expect(await begin("two", { account: "zeta" })).toEqual(BEGUN);
      expect(await begin("two", { key: "key-2", digest: "another" })).toEqual(BEGUN);
      await finish("one", "acme's");
      expect(await begin("one", { account: "zeta" })).toMatchObject({ kind: "running" });
      expect(await begin("one", { key: "key-2", digest: "another" })).toMatchObject({ kind: "running" });
    });

    it("may be begun again by the same holder, for a whole term", async () => {
      await begin("one");
      await open.clock.advance(20 * SECOND);
      expect(await begin("one")).toEqual(BEGUN);
      expect(await begin("two")).toEqual({ kind: "running", leftMs: TERM_MS });
    });

    it("is anyone's to begin when the term is over, and what the first holder then says counts nothing", async () => {
      await begin("one");
      await open.clock.advance(TERM_MS - 1);
      expect(await begin("two")).toEqual({ kind: "running", leftMs: 1 });
      await open.clock.advance(1);
      await finish("one", "too late");
      expect(await begin("two", { digest: "another" })).toEqual(BEGUN);
      await finish("one", "much too late");
      await abandon("one");
      expect(await begin("three", { digest: "another" })).toMatchObject({ kind: "running" });
      await finish("two", "in time");
      expect(await begin("three", { digest: "another" })).toEqual({ kind: "done", answer: "in time" });
    });

    it("is forgotten after the time for which it was to be kept", async () => {
      await begin("one");
      await open.clock.advance(TERM_MS - 1);
      await finish("one", "yes");
      await open.clock.advance(KEEP_MS - 1);
      expect(await begin("two")).toEqual({ kind: "done", answer: "yes" });
      await open.clock.advance(1);
      expect(await begin("two", { digest: "another" })).toEqual(BEGUN);
    });

    it("is finished once: again changes neither it nor its time", async () => {
      await begin("one");
      await finish("one", "first");
      await open.clock.advance(KEEP_MS - 1);
      await finish("one", "second");
      expect(await begin("two")).toEqual({ kind: "done", answer: "first" });
      await open.clock.advance(1);
      expect(await begin("two")).toEqual(BEGUN);
    });

    it("is finished by its holder only", async () => {
      await finish("one", "never begun");
      expect(await begin("one")).toEqual(BEGUN);
      await finish("two", "not mine");
      expect(await begin("two")).toMatchObject({ kind: "running" });
    });

    it("is forgotten when its holder abandons it, but not once it is done", async () => {
      await begin("one");
      await abandon("two");
      expect(await begin("two")).toMatchObject({ kind: "running" });
      await abandon("one");
      await abandon("one");
      expect(await begin("two", { digest: "another" })).toEqual(BEGUN);
      await finish("two", "");
      await abandon("two");
      expect(await begin("one", { digest: "another" })).toEqual({ kind: "done", answer: "" });
    });

    it("is begun by one of many who ask at once", async () => {
      const begun = await Promise.all(Array.from({ length: 20 }, (_, holder) => begin(`holder ${holder}`)));
      expect(begun.filter(({ kind }) => kind === "begun")).toHaveLength(1);
      expect(begun.filter(({ kind }) => kind === "running")).toHaveLength(19);
    });

    it("is still there, begun or done, after the store was closed and opened again", async () => {
      await begin("one");
      await begin("one", { key: "key-2" });
      await finish("one", "yes");
      await open.clock.advance(SECOND);
      await open.reopen();
      expect(await begin("two")).toEqual({ kind: "done", answer: "yes" });
      expect(await begin("two", { key: "key-2" })).toEqual({ kind: "running", leftMs: TERM_MS - SECOND });
    });

    it("may be as large as the limit, and no larger", async () => {
      await begin("one");
      await expect(finish("one", "x".repeat(ANSWER_BYTES_MAX + 1))).rejects.toMatchObject({ reason: "message_too_large" });
      const answer = "x".repeat(ANSWER_BYTES_MAX);
      await finish("one", answer);
      const kept = await begin("two");
      expect(kept.kind === "done" && kept.answer === answer).toBe(true);
    });

    it("is refused when it is none, and the field is named", async () => {
      const { answers } = open.store;
      for (const field of ["account", "key", "digest", "holder"])
        await expect(begin("one", { [field]: "" })).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field } });
      const wrong = answers.begin({ account: "acme", key: "key-1", digest: "digest-1", holder: "one", termMs: 0 });
      await expect(wrong).rejects.toMatchObject({ detail: { field: "termMs" } });
      const long = answers.finish("acme", "key-1", "one", "yes", DURATION_MS_MAX + 1);
      await expect(long).rejects.toMatchObject({ detail: { field: "keepMs" } });
      await expect(finish("one", "half a pair \ud800")).rejects.toMatchObject({ detail: { field: "answer" } });
      await expect(abandon("")).rejects.toMatchObject({ detail: { field: "holder" } });
    });
  });
}
