import { expect, test } from "vitest";
import { VirtualClock } from "#kernel";
import type { SequenceEvent } from "../contract.ts";
import { FEW_EVENTS, NewsOutbox, SEND_FEW_MS_MIN, SEND_MS_MIN } from "./news-outbox.ts";

const token = (tokenId: number): SequenceEvent => ({ kind: "token", tokenId, logprob: undefined, finish: undefined });

/** Its messages, each the number of tokens in it; -1 where a stream ended. */
function open() {
  const clock = new VirtualClock();
  const sent: number[] = [];
  const outbox = new NewsOutbox({
    clock,
    nextTurn: () => clock.after(0),
    send: (streams) => sent.push(streams.some(({ end }) => end) ? -1 : streams.reduce((sum, { events }) => sum + events.length, 0)),
  });
  const step = async (durationMs: number, urgent = false, events = 1) => {
    for (let stream = 1; stream <= events; stream++) outbox.event(stream, token(7), urgent);
    await clock.advance(0);
    outbox.flushDue();
    await clock.advance(durationMs);
  };
  return { clock, sent, outbox, step };
}

test("tokens of long steps leave one by one, those of short steps several together", async () => {
  const long = open();
  for (let index = 0; index < 4; index++) await long.step(SEND_FEW_MS_MIN);
  expect(long.sent).toEqual([1, 1, 1, 1]);
  const short = open();
  for (let index = 0; index < 9; index++) await short.step(SEND_FEW_MS_MIN / 4);
  expect(short.sent).toEqual([1, 3, 4]); // At 0, 10 and 20 ms: the one that came at 10 was too late for the second.
});

test("the tokens of many texts wait less", async () => {
  const { sent, step } = open();
  for (let index = 0; index < 4; index++) await step(SEND_MS_MIN, false, FEW_EVENTS);
  expect(sent).toEqual([FEW_EVENTS, FEW_EVENTS, FEW_EVENTS, FEW_EVENTS]);
});

test("a stream's first word and its last don't wait, and take with them what does", async () => {
  const { sent, outbox, step, clock } = open();
  await step(1, true);
  await step(1);
  await step(1, true);
  await step(1);
  outbox.end(1, undefined);
  await clock.advance(0);
  expect(sent).toEqual([1, 2, -1]);
});

test("what waits leaves in time although no step follows", async () => {
  const { sent, step, clock } = open();
  await step(0);
  await step(0);
  expect(sent).toEqual([1]);
  await clock.advance(SEND_FEW_MS_MIN);
  expect(sent).toEqual([1, 1]);
});

test("the load by itself is sent at once, and delays no token", async () => {
  const { sent, outbox, step, clock } = open();
  outbox.schedule();
  await clock.advance(0);
  await step(0);
  expect(sent).toEqual([0, 1]);
});
