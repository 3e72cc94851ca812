import type { Millis } from "#kernel";

/** What scripts are told of the time: "" for the server's own, which all routers share, or a test's. */
export type StoreTime = () => Millis | "";

export const SERVER_TIME: StoreTime = () => "";
