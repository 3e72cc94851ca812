export { type GenerationDeps, type GenerationObserver, generate } from "./generation.ts";
export { type GenerationDefaults, readGenerationDefaults } from "./generation-defaults.ts";
export { encodePrompt } from "./prompt.ts";
export { score } from "./score.ts";
