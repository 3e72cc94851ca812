import { assert, type Random } from "#kernel";

const LETTERS = [..."abcdefghijklmnopqrstuvwxyz"];

/**
 * A byte-level BPE tokenizer.json of exactly `vocabularySize` entries, without training: the 256 bytes, then all words
 * of two letters, of three (a word of two and a letter), of four (two words of two), until the size is reached.
 * Any text becomes ids and the same text again.
 */
export function generatedTokenizer(vocabularySize: number): Record<string, unknown> {
  const bytes = byteCharacters();
  const merges = mergesOfLetters(vocabularySize - bytes.length);
  const vocabulary = [...bytes, ...merges.map(([left, right]) => left + right)];
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
      merges,
    },
  };
}

/** A text of exactly `tokenCount` tokens under {@link generatedTokenizer}: two-letter words, each after a space, so two tokens a word. */
export function generatedPrompt(tokenCount: number, random: Random): string {
  assert(tokenCount % 2 === 0, "a generated prompt has an even number of tokens");
  const letter = () => LETTERS[random.below(LETTERS.length)]!;
  return Array.from({ length: tokenCount / 2 }, () => ` ${letter()}${letter()}`).join("");
}

function mergesOfLetters(count: number): [string, string][] {
  const pairs = LETTERS.flatMap((first) => LETTERS.map((second): [string, string] => [first, second]));
  const words = pairs.map((pair) => pair.join(""));
  const triples = words.flatMap((word) => LETTERS.map((letter): [string, string] => [word, letter]));
  const merges = [...pairs, ...triples];
  for (let index = 0; merges.length < count && index < words.length ** 2; index++) {
    merges.push([words[Math.floor(index / words.length)]!, words[index % words.length]!]);
  }
  assert(count > 0 && merges.length >= count, `no tokenizer can be made for ${count} words`);
  return merges.slice(0, count);
}

/** The printable character that stands for each byte in GPT-2's byte-level BPE. */
function byteCharacters(): string[] {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let shifted = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : shifted++));
}
