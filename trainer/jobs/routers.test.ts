import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Fault, systemClock } from "#kernel";
import { type Handlers, implement, Job, JobWork, openChannel, startGrpcServer, TrainingServiceService } from "#proto";
import { JobDesk } from "./job-desk.ts";
import { Routers } from "./routers.ts";

let parts = new AsyncDisposableStack();
afterEach(async () => {
  await parts.disposeAsync();
  parts = new AsyncDisposableStack();
});

const NO_JOB = { job: undefined, epoch: 0, leaseMs: 0, baseDirectory: "", checkpoint: false, published: "" };
const HELD = {
  job: Job.fromPartial({ id: "job" }),
  epoch: 1,
  leaseMs: 1,
  given: { ...NO_JOB, trainingFile: undefined, validationFile: undefined },
};
const signal = new AbortController().signal;

/** A router's desk that notes what it was asked, and refuses everything with `fault` when there is one. */
async function router(fault?: Fault) {
  const asked: string[] = [];
  const note = (what: string) => {
    asked.push(what);
    if (fault) throw fault;
  };
  const handlers: Handlers<typeof TrainingServiceService> = {
    leaseJob: async () => {
      note("lease");
      return { ...NO_JOB, trainingFile: undefined, validationFile: undefined };
    },
    reportJob: async () => {
      note("report");
      return { command: 0 };
    },
    async *readTrainingFile() {
      note("read");
      yield { piece: Buffer.from("a") };
      throw new Fault("node_lost", "in the middle");
    },
    async saveCheckpoint(requests) {
      let bytes = 0;
      for await (const { part } of requests) if (part?.$case === "piece") bytes += part.value.byteLength;
      note(`save ${bytes}`);
      return { command: 0 };
    },
    async *loadCheckpoint() {
      note("load");
      yield { piece: Buffer.from("a") };
    },
    publishDelta: async () => {
      note("publish");
      return { model: "", delta: undefined };
    },
  };
  const implementation = implement(TrainingServiceService, handlers, { clock: systemClock });
  const service = { name: "deltaplane.v1.TrainingService", definition: TrainingServiceService, implementation };
  const server = parts.use(await startGrpcServer({ listen: "127.0.0.1:0", services: [service], clock: systemClock }));
  const channel = parts.use(openChannel({ address: `127.0.0.1:${server.port}`, clock: systemClock, connectMsMax: 1_000 }));
  return { asked, channel, stop: () => server.drain(0) };
}

type Router = Awaited<ReturnType<typeof router>>;
const deskAt = (...routers: readonly Router[]) => new JobDesk(new Routers(routers.map(({ channel }) => channel)), "t");
const lease = (desk: JobDesk) => desk.lease(JobWork.JOB_WORK_TRAIN, [], signal);

describe("a trainer with several routers", () => {
  it("stays with one, goes on with the next when that is gone, and stays with it", async () => {
    const [one, two] = [await router(), await router()];
    const desk = deskAt(one, two);
    for (let count = 0; count < 2; count++) await lease(desk);
    expect([one.asked, two.asked]).toEqual([["lease", "lease"], []]);
    await one.stop();
    for (let count = 0; count < 2; count++) await lease(desk);
    expect(two.asked).toEqual(["lease", "lease"]);
  });

  it("sends a checkpoint whole to the next when the first one is stopping", async () => {
    const [stopping, two] = [await router(new Fault("shutting_down", "")), await router()];
    const folder = mkdtempSync(join(tmpdir(), "deltaplane-routers-"));
    parts.defer(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "checkpoint");
    writeFileSync(file, Buffer.alloc(3 * 2 ** 20));
    expect(await deskAt(stopping, two).saveCheckpoint(HELD, 7, file, signal)).toBe(7);
    expect([stopping.asked, two.asked]).toEqual([[`save ${3 * 2 ** 20}`], [`save ${3 * 2 ** 20}`]]);
  });

  it("asks nobody else what the first one refuses, nor to go on with a stream that broke", async () => {
    const [refusing, two] = [await router(new Fault("lease_lost", "somebody else has it")), await router()];
    await expect(lease(deskAt(refusing, two))).rejects.toMatchObject({ reason: "lease_lost" });
    expect(two.asked).toEqual([]);

    const three = await router();
    await expect(Array.fromAsync(deskAt(two, three).readFile(HELD, "file", signal))).rejects.toMatchObject({ reason: "node_lost" });
    expect([two.asked, three.asked]).toEqual([["read"], []]);
  });

  it("fails as the last one does when none is there, and when none is known", async () => {
    const stopping = [await router(new Fault("shutting_down", "")), await router(new Fault("store_unreachable", ""))];
    await expect(lease(deskAt(...stopping))).rejects.toMatchObject({ reason: "store_unreachable" });
    await expect(lease(deskAt())).rejects.toMatchObject({ code: "unavailable" });
  });
});
