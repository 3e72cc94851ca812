import { type Command, Option } from "commander";
import { z } from "zod";
import { SECOND } from "#kernel";
import { openStore, STATE_URLS } from "../cluster/store.ts";
import { createDeps, readOptions, runUntilStopped } from "../component.ts";
import { addLifeOptions, LIFE_OPTIONS, openLife } from "../component-life.ts";
import { addMemberOptions, announcer, MEMBER_OPTIONS, openRegistry } from "../discovery/registry.ts";
import { kubernetesAccess } from "../kubernetes/kubernetes-access.ts";
import {
  addSchedulerKubernetesOptions,
  SCHEDULER_KUBERNETES_OPTIONS,
  schedulerFlags,
  schedulerLeases,
  startController,
} from "../kubernetes/scheduler-options.ts";

const Options = z.object({
  listen: z.string(),
  state: z.string().optional(),
  idleSeconds: z.coerce.number().positive().optional(),
  ...LIFE_OPTIONS,
  ...SCHEDULER_KUBERNETES_OPTIONS,
  ...MEMBER_OPTIONS,
});

export function addSchedulerCommand(program: Command): void {
  addMemberOptions(addSchedulerKubernetesOptions(addLifeOptions(program.command("scheduler"))))
    .description("one scheduler of a distributed cluster")
    .addOption(new Option("--listen <host:port>").env("DELTAPLANE_LISTEN").default("0.0.0.0:50054"))
    .addOption(
      new Option("--state <url>", `where several schedulers agree on who leads: ${STATE_URLS} (default: this one is alone)`).env(
        "DELTAPLANE_STATE",
      ),
    )
    .addOption(
      new Option("--idle-seconds <n>", "without a request for so long, a base wants no node (default: one always)").env(
        "DELTAPLANE_IDLE_SECONDS",
      ),
    )
    .action((_flags: unknown, command: Command) =>
      runUntilStopped(async (stop) => {
        const { SCHEDULER_SETTLE_MS, startScheduler } = await import("#scheduler/service");
        const options = readOptions(Options, schedulerFlags(command));
        const deps = createDeps("scheduler");
        await using parts = new AsyncDisposableStack();
        const life = await openLife("scheduler", options, deps, parts, stop);
        const { listen, state, idleSeconds } = options;
        const announced = announcer("scheduler", await openRegistry(options, deps, parts), options, stop);
        const store = state === undefined ? undefined : parts.use(await openStore(state, deps.log));
        const access = kubernetesAccess(deps, options, parts);
        const leases = await schedulerLeases(options, store, access);
        const scheduler = parts.use(
          await startScheduler(
            { ...deps, ...(leases && { leases }) },
            {
              ...{ listen, ...life.credentials, settleMs: SCHEDULER_SETTLE_MS },
              ...(idleSeconds !== undefined && { idleMsMax: idleSeconds * SECOND }),
            },
          ),
        );
        await startController(options, access, () => scheduler.leaderEpoch(), parts);
        life.readyWhen(() => scheduler.ready());
        announced.announce(scheduler.port);
        deps.log.info({ port: scheduler.port }, "scheduler ready");
        return parts.move();
      }),
    );
}
