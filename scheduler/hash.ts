/** FNV-1a over the characters, finished. 32 bits: a collision of two nodes' hashes costs balance, never correctness. */
export function hashText(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  return mixHash(value);
}

/** The finaliser of MurmurHash3: a bijection of 32 bits in which each input bit changes half of the output bits. */
export function mixHash(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
