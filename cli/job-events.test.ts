import { expect, test } from "vitest";
import { Fault, systemClock } from "#kernel";
import { FineTuningServiceService, implement, JobEvent, openChannel, startGrpcServer } from "#proto";
import type { Connection } from "./connection.ts";
import { jobEvents } from "./job-events.ts";

const EVENTS = [1, 2, 3, 4].map((position) => JobEvent.fromPartial({ position, message: `event ${position}` }));

/** A server that ends each call as told, after two more events each. */
async function positions(ends: readonly Fault[], follow = true): Promise<readonly number[]> {
  const left = [...ends];
  const definition = { watchEvents: FineTuningServiceService.watchEvents };
  const handlers = {
    async *watchEvents({ after }: { after: number }) {
      const end = left.shift();
      for (const event of EVENTS.slice(after, end ? after + 2 : undefined)) yield { event };
      if (end) throw end;
    },
  };
  const implementation = implement(definition, handlers, { clock: systemClock });
  const service = { name: "deltaplane.v1.FineTuningService", definition, implementation };
  await using server = await startGrpcServer({ listen: "127.0.0.1:0", services: [service], clock: systemClock });
  await using channel = openChannel({ address: `127.0.0.1:${server.port}`, clock: systemClock });
  const connection = { channel, signal: new AbortController().signal } as unknown as Connection;
  const told: number[] = [];
  for await (const { position } of jobEvents(connection, "ftjob-1", follow)) told.push(position);
  return told;
}

test("who follows a job hears every event once, also where its router stops meanwhile", async () => {
  expect(await positions([new Fault("shutting_down", "")])).toEqual([1, 2, 3, 4]);
});

test("what another answer would not change ends it, and so does a router that is away for who does not follow", async () => {
  await expect(positions([new Fault("resource_unknown", "no such job")])).rejects.toMatchObject({ reason: "resource_unknown" });
  await expect(positions([new Fault("shutting_down", "")], false)).rejects.toMatchObject({ reason: "shutting_down" });
});
