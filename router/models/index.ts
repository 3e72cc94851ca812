export { listAliases, removeAlias, rollBackAlias, setAlias } from "./aliases.ts";
export { addBase, listBases, removeBase } from "./bases.ts";
export { type ModelDeps, type Publishing, publishTrained, pushDelta } from "./delta-publication.ts";
export { getDelta, listDeltas, pinDelta, removeDelta } from "./deltas.ts";
export { keepDesiredState } from "./desired-state.ts";
export { evictDelta } from "./eviction.ts";
export { removeModel } from "./model-removal.ts";
export { rememberWokenBases } from "./woken-bases.ts";
