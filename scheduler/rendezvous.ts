import type { NodeView } from "#kernel";

/**
 * Rendezvous hashing (Thaler and Ravishankar 1998): the nodes in an order of `key`'s own, the first `count` of them. A
 * node that comes or goes moves only the keys for which it is among the first; the order of the others stays.
 */
export function rendezvousOrder(key: string, nodes: readonly NodeView[], count: number): readonly NodeView[] {
  const keyHash = hashText(key);
  const first: { readonly node: NodeView; readonly weight: number }[] = [];
  for (const node of nodes) {
    const weight = mixHash(keyHash ^ hashText(node.id));
    if (first.length === count && weight < first[count - 1]!.weight) continue;
    const at = first.findIndex((other) => weight > other.weight || (weight === other.weight && node.id < other.node.id));
    if (at >= 0) first.splice(at, 0, { node, weight });
    else if (first.length < count) first.push({ node, weight });
    if (first.length > count) first.pop();
  }
  return first.map(({ node }) => node);
}

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
