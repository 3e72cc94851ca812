export { DemandBook, demandWeight } from "./demand-book.ts";
