export { differentiate } from "./gradient/differentiate.ts";
