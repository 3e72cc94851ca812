/** Fields that this API has and OpenAI's does not: its clients send them, but their types don't know them. */
const FOREIGN = new Set(["top_k", "min_p", "repetition_penalty", "ignore_eos"]);

type Fields = readonly (readonly [string, unknown])[];

export function splitForeign(body: Readonly<Record<string, unknown>>): { readonly own: Fields; readonly foreign: Fields } {
  const fields = Object.entries(body);
  return { own: fields.filter(([name]) => !FOREIGN.has(name)), foreign: fields.filter(([name]) => FOREIGN.has(name)) };
}
