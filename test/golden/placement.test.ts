import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DemandBook, drainPlan, HomeRing, Placement } from "#scheduler";

/**
 * Placement, told as stories: test/golden/placement/*.txt. A line is a command; what it leads to stands under `----`, up to an empty line. Prose starts with `#`. After a
 * change that is meant, write the answers anew with UPDATE_GOLDEN=1 and read them in review.
 *
 *   nodes a b c          who is there from now on; deltas' homes follow
 *   ask d 500            somebody asks delta d for work of 500 weighted tokens
 *   wait 30              seconds pass
 *   round [N]            a placement round that may change N things (8 if it does not say)
 *   where d e            where these deltas should be
 *   drain a              what node a hands over before it leaves, of the deltas whose place it is
 */
const STORIES = join(import.meta.dirname, "placement");
const NODE_RATE = 100;
const COPIES_MAX = 4;

class Story {
  readonly #demand = new DemandBook(30_000);
  readonly #placement = new Placement();
  readonly #nodeNames: string[] = [];
  readonly #deltaNames: string[] = [];
  #nodes: readonly number[] = [];
  #nowMs = 0;

  readonly #commands: Readonly<Record<string, (words: readonly string[]) => readonly string[]>> = {
    nodes: (names) => {
      this.#nodes = names.map((name) => numberOf(this.#nodeNames, name));
      return [];
    },
    ask: ([delta, weight]) => {
      this.#demand.observe(numberOf(this.#deltaNames, delta!), Number(weight), this.#nowMs);
      return [];
    },
    wait: ([seconds]) => {
      this.#nowMs += 1000 * Number(seconds);
      return [];
    },
    round: ([movesMax = "8"]) => {
      const input = {
        ring: this.#ring(this.#nodes),
        nodes: this.#nodes,
        deltaHash: this.#hashes(),
        demand: this.#demand,
        nowMs: this.#nowMs,
      };
      const moves = this.#placement.round(input, { nodeRate: NODE_RATE, copiesMax: COPIES_MAX, movesMax: Number(movesMax) });
      if (moves.length === 0) return ["Nothing changes."];
      return moves.map(({ delta, from, to }) => {
        const name = this.#deltaNames[delta];
        if (from === undefined) return `${name} gets a copy on ${this.#nodeNames[to!]}.`;
        if (to === undefined) return `${name} gives up its copy on ${this.#nodeNames[from]}.`;
        return `${name} moves from ${this.#nodeNames[from]} to ${this.#nodeNames[to]}.`;
      });
    },
    where: (deltas) => deltas.map((name) => `${name} is on ${this.#places(numberOf(this.#deltaNames, name)).join(", ")}.`),
    drain: ([name]) => {
      const node = numberOf(this.#nodeNames, name!);
      const resident = this.#deltaNames.flatMap((_, delta) => (this.#places(delta).includes(name!) ? [delta] : []));
      const ring = this.#ring(this.#nodes.filter((other) => other !== node));
      const elsewhere = (delta: number) => this.#places(delta).length > 1;
      const plan = drainPlan(resident, (delta) => hash(this.#deltaNames[delta]!), elsewhere, {
        ...{ ring, demand: this.#demand, nowMs: this.#nowMs, copiesMax: 10 },
      });
      return plan.map(({ delta, to }) => `${this.#deltaNames[delta]} is copied to ${this.#nodeNames[to]}.`);
    },
  };

  run(line: string): readonly string[] {
    const [command, ...words] = line.split(" ");
    const run = this.#commands[command!];
    if (!run) throw new Error(`no command ${command}`);
    return run(words);
  }

  #places(delta: number): readonly string[] {
    const targets = this.#placement.targets(delta);
    const into: number[] = [];
    this.#ring(this.#nodes).candidates(hash(this.#deltaNames[delta]!), 1, into);
    return (targets.length > 0 ? targets : into.slice(0, 1)).map((node) => this.#nodeNames[node]!);
  }

  #ring(nodes: readonly number[]): HomeRing {
    return new HomeRing(nodes.map((node) => ({ node, hash: hash(this.#nodeNames[node]!) })));
  }

  #hashes(): Uint32Array {
    return Uint32Array.from(this.#deltaNames, hash);
  }
}

test.each(readdirSync(STORIES).filter((name) => name.endsWith(".txt")))("placement: %s", (name) => {
  const file = join(STORIES, name);
  const written = readFileSync(file, "utf8");
  const told = retell(written);
  if (process.env["UPDATE_GOLDEN"]) writeFileSync(file, told);
  else expect(told).toBe(written);
});

/** The same text, with the answers that the code gives now. An answer ends with an empty line. */
function retell(text: string): string {
  const story = new Story();
  const lines: string[] = [];
  let answering = false;
  for (const line of text.trimEnd().split("\n")) {
    if (line === "----") answering = true;
    if (!answering) {
      lines.push(line);
      const answers = line === "" || line.startsWith("#") ? [] : story.run(line);
      if (answers.length > 0) lines.push("----", ...answers, "");
    }
    if (line === "") answering = false;
  }
  return `${lines
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .trimEnd()}\n`;
}

function numberOf(names: string[], name: string): number {
  const known = names.indexOf(name);
  return known >= 0 ? known : names.push(name) - 1;
}

/** FNV-1a: any spread will do, it only has to stay. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const character of text) value = Math.imul(value ^ character.charCodeAt(0), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  return (value ^ (value >>> 13)) >>> 0;
}
