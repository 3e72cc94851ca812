import { prepareData } from "../prepare.ts";

/**
 * `node prepare-process.ts FILE`: prepares a file, taking every recommendation, and prints the rows that it kept and the
 * memory that it ever held. A token is 16 characters here: what is looked at is how the rows go through, not a tokenizer.
 */
const codec = {
  encode: async (text: string) => new Array<number>(Math.ceil(text.length / 16)).fill(0),
  countTokens: async (text: string) => text.length,
  checkPrompt() {},
  tokenBytes: () => new Uint8Array(),
  tokenText: () => "",
  renderChat: () => "",
  visibleToken: () => undefined,
  decoder: { start: () => ({ push: () => "", end: () => "" }), tokenBytes: () => new Uint8Array() },
};
const info = { name: "of 16 characters", contextTokensMax: 4096, bosTokenId: undefined, eosTokenIds: [0], parameterCount: 1 };
const before = process.resourceUsage().maxRSS;
const { rows, files } = await prepareData(
  process.argv[2]!,
  { base: { codec, info }, split: async () => true },
  { told() {}, accepts: async () => true },
);
console.log(JSON.stringify({ rows, files, grownMb: Math.round((process.resourceUsage().maxRSS - before) / 1024) }));
