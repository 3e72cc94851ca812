export { listAliases, removeAlias, setAlias } from "./aliases.ts";
export { addBase, listBases, removeBase } from "./bases.ts";
export { type ModelDeps, type Publishing, pushDelta } from "./delta-publication.ts";
export { getDelta, listDeltas, pinDelta, removeDelta } from "./deltas.ts";
export { keepDesiredState } from "./desired-state.ts";
