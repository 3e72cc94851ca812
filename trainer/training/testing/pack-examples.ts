import type { Example } from "../example.ts";
import { exampleParts, PackedExamples } from "../packed-examples.ts";

/** What a trainer's process has of `examples` once they have come to it. */
export async function packExamples(examples: Iterable<Example>): Promise<PackedExamples> {
  const set = new PackedExamples();
  for await (const part of exampleParts(examples)) set.add(part);
  return set;
}
