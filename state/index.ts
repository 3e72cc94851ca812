export type * from "./contract.ts";
export { openEmbeddedStore } from "./embedded/store.ts";
