export type * from "./contract.ts";
export { decide } from "./decide.ts";
