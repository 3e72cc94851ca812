import { afterEach, beforeEach, describe } from "vitest";
import type { VirtualClock } from "#kernel";
import type { StateStore } from "./contract.ts";
import { describeAnswers } from "./contract-suite/answers.ts";
import { describeCounters } from "./contract-suite/counters.ts";
import { describeJournal } from "./contract-suite/journal.ts";
import { describeLeases } from "./contract-suite/leases.ts";
import { describeMeters } from "./contract-suite/meters.ts";
import { describeRecords } from "./contract-suite/records.ts";

/** Where a store lies, and the time that it goes by. */
export interface StorePlace {
  /** Opens the same, at first empty, store at every call; all its times are those of `clock`. */
  open(): Promise<StateStore>;
  /** Moves only when a test says so. */
  readonly clock: VirtualClock;
  remove(): Promise<void>;
}

/** What a part of the suite works with. */
export interface OpenStore {
  readonly store: StateStore;
  readonly clock: VirtualClock;
  /** Closes the store and opens it again: `store` is the new one. */
  reopen(): Promise<void>;
}

/** What every implementation of {@link StateStore} promises. */
export function describeStateStore(name: string, fresh: () => Promise<StorePlace>): void {
  describe(name, () => {
    let place: StorePlace;
    let store: StateStore;
    beforeEach(async () => {
      place = await fresh();
      store = await place.open();
    });
    afterEach(async () => {
      await store[Symbol.asyncDispose]();
      await place.remove();
    });
    const open: OpenStore = {
      get store() {
        return store;
      },
      get clock() {
        return place.clock;
      },
      async reopen() {
        await store[Symbol.asyncDispose]();
        store = await place.open();
      },
    };
    describeRecords(open);
    describeJournal(open);
    describeCounters(open);
    describeMeters(open);
    describeLeases(open);
    describeAnswers(open);
  });
}
