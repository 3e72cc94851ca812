import { afterAll, beforeAll, describe } from "vitest";
import type { GrpcChannel } from "#proto";
import { type RunningCluster, startCluster } from "../cluster/running-cluster.ts";
import { chatCases } from "./chat-cases.ts";
import { completionCases } from "./completion-cases.ts";
import { type Door, doorOf } from "./door.ts";
import { emptyClusterCases, faultCases } from "./fault-cases.ts";
import { modelCases } from "./model-cases.ts";
import { usageCases } from "./usage-cases.ts";

/** Where the cluster's state is for the time of the suite; `args` are those of `deltaplane up`. */
export interface StatePlace extends AsyncDisposable {
  readonly args: readonly string[];
}

/** The official client against a live cluster, with real engines, the demo base and the demo deltas, on one kind of store. */
export function openaiSuite(store: string, openState: () => Promise<StatePlace>): void {
  describe(`the openai package against a cluster on ${store}`, () => {
    let state: StatePlace;
    let cluster: RunningCluster;
    let admin: GrpcChannel;
    let door: Door;
    beforeAll(async () => {
      state = await openState();
      cluster = await startCluster({ args: state.args });
      admin = cluster.adminChannel();
      door = doorOf(cluster, admin);
    });
    afterAll(async () => {
      await admin?.[Symbol.asyncDispose]();
      await cluster?.[Symbol.asyncDispose]();
      await state?.[Symbol.asyncDispose]();
    });
    for (const cases of [completionCases, chatCases, modelCases, usageCases, faultCases, emptyClusterCases]) cases(() => door);
  });
}
