import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asBaseDigest, asKeyId, asProjectId, asTenantId, Fault } from "#kernel";
import { isJobOver, type JobRecord } from "../catalog/index.ts";
import { cancelled, ended, handedBack, leased, offered, paused, progressed, resumed } from "./job-state.ts";

function jobOf(number: number, more: Partial<JobRecord> = {}): JobRecord {
  return {
    id: `ftjob-${String(number).padStart(24, "0")}`,
    ...{ tenantId: asTenantId("acme"), projectId: asProjectId("default"), keyId: asKeyId("k"), createdAt: number },
    ...{ state: "validating_files", baseName: "demo-base", baseDigest: asBaseDigest("b".repeat(64)), trainingFile: "file-1" },
    ...{ suffix: "tuned", seed: 1, auto: false, classificationMetrics: false, metadata: {}, integrations: [], wished: { targets: [] } },
    ...{ reasons: {}, priceVersion: 0, plannedTokens: 0, trainedTokens: 0, stepsDone: 0, stepsTotal: 0 },
    ...{ checkpointStep: 0, checkpoints: [], resultFiles: [] },
    ...more,
  };
}

const holder = (work: "validate" | "train", until: number) => ({ trainerId: "t", storeEpoch: 1, work, until }) as const;
const some = { stepsDone: 0, stepsTotal: 10, trainedTokens: 0, leasedUntil: 100 };

describe("a job", () => {
  test("is checked, queued, trained, paused, resumed and done", () => {
    const checking = leased(jobOf(1), holder("validate", 100), 0);
    expect(checking).toMatchObject({ state: "validating_files", lease: { epoch: 1 } });
    const queued = handedBack(progressed(checking, 1, { ...some, chosen: { targets: [], epochs: 3 }, plannedTokens: 30 }), 1);
    expect(queued).toMatchObject({ state: "queued", plannedTokens: 30, lease: { until: 0 } });
    const running = leased(queued, holder("train", 200), 7);
    expect(running).toMatchObject({ state: "running", startedAt: 7, lease: { epoch: 2 } });
    const stopped = paused(progressed(running, 2, { ...some, stepsDone: 4, trainedTokens: 12 }));
    expect(stopped.state).toBe("paused");
    expect(handedBack(stopped, 2).state).toBe("paused");
    const again = leased(resumed(handedBack(stopped, 2)), holder("train", 300), 50);
    expect(again).toMatchObject({ state: "running", startedAt: 7, trainedTokens: 12, lease: { epoch: 3 } });
    expect(ended(again, "succeeded", 60)).toMatchObject({ state: "succeeded", finishedAt: 60, lease: { until: 0 } });
  });

  test("that is resumed before its trainer heard of the pause just goes on", () => {
    const running = leased(jobOf(1, { state: "queued", chosen: { targets: [] } }), holder("train", 100), 0);
    const resumedAtOnce = resumed(paused(running));
    expect(resumedAtOnce.state).toBe("queued");
    expect(progressed(resumedAtOnce, 1, some).state).toBe("running");
  });

  test("hears nothing of an earlier holder, and its sums never fall", () => {
    const first = leased(jobOf(1, { state: "queued" }), holder("train", 100), 0);
    const second = leased(first, holder("train", 300), 200);
    expect(() => progressed(second, 1, some)).toThrow(expect.objectContaining({ reason: "lease_lost" }));
    const far = progressed(second, 2, { ...some, stepsDone: 8, trainedTokens: 80 });
    expect(progressed(far, 2, { ...some, stepsDone: 5, trainedTokens: 50 })).toMatchObject({ stepsDone: 8, trainedTokens: 80 });
  });
});

interface Action {
  readonly kind: string;
  readonly amount: number;
  readonly epoch: number;
}

test("whatever is done to a job in whatever order: what is over stays over, and nothing counts backwards", () => {
  const action: fc.Arbitrary<Action> = fc.record({
    kind: fc.constantFrom("lease", "validate", "report", "hand back", "pause", "resume", "cancel", "succeed", "fail"),
    amount: fc.nat(100),
    epoch: fc.integer({ min: 1, max: 6 }),
  });
  const act = (job: JobRecord, { kind, amount, epoch }: Action): JobRecord => {
    const progress = { ...some, stepsDone: amount, trainedTokens: 10 * amount, chosen: { targets: [] } };
    switch (kind) {
      case "lease":
        return leased(job, holder("train", 1), 1);
      case "validate":
        return leased(job, holder("validate", 1), 1);
      case "report":
        return progressed(job, epoch, progress);
      case "hand back":
        return handedBack(job, epoch);
      case "pause":
        return paused(job);
      case "resume":
        return resumed(job);
      case "cancel":
        return cancelled(job, 2);
      default:
        return isJobOver(job) ? job : ended(job, kind === "succeed" ? "succeeded" : "failed", 2);
    }
  };
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      let job = jobOf(1);
      for (const each of actions) {
        const before = job;
        try {
          job = act(job, each);
        } catch (error) {
          if (!(error instanceof Fault) || (error.reason !== "lease_lost" && error.reason !== "job_not_running")) throw error;
        }
        if (isJobOver(before)) expect(job).toEqual(before);
        expect(job.trainedTokens).toBeGreaterThanOrEqual(before.trainedTokens);
        expect(job.lease?.epoch ?? 0).toBeGreaterThanOrEqual(before.lease?.epoch ?? 0);
        if (job.state === "running") expect(job.lease).toBeDefined();
      }
    }),
  );
});

describe("trainers are offered", () => {
  const queued = (number: number, tenant: string, more: Partial<JobRecord> = {}) =>
    jobOf(number, { state: "queued", tenantId: asTenantId(tenant), ...more });
  const ids = (jobs: readonly JobRecord[]) => jobs.map(({ id }) => Number(id.slice(6)));

  test("one job of each tenant, those first that were served longest ago", () => {
    const served = jobOf(1, { state: "succeeded", startedAt: 500 });
    const jobs = [served, queued(2, "acme"), queued(3, "acme"), queued(4, "zeta"), queued(5, "zeta")];
    expect(ids(offered(jobs, "train", 1_000))).toEqual([4, 2]);
  });

  test("nothing of a tenant whose job is being trained, until its lease has run out: then that one", () => {
    const lease = { ...holder("train", 100), epoch: 1 };
    const jobs = [queued(2, "acme"), queued(3, "acme", { state: "running", startedAt: 1, lease })];
    expect(ids(offered(jobs, "train", 99))).toEqual([]);
    expect(ids(offered(jobs, "train", 100))).toEqual([3]);
  });

  test("everything that is to be checked, the oldest first", () => {
    const lease = { ...holder("validate", 100), epoch: 1 };
    expect(ids(offered([jobOf(3), jobOf(1), jobOf(2, { lease })], "validate", 50))).toEqual([1, 3]);
  });
});
