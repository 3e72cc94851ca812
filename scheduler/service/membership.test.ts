import { describe, expect, it } from "vitest";
import { asBaseDigest, asDeltaDigest, asNodeId, asTenantId, type Residency, VirtualClock } from "#kernel";
import { Membership } from "./membership.ts";
import type { NodeReport } from "./report.ts";

const residency: Residency = {
  tier: "ram",
  state: "ready",
  tenantId: asTenantId("acme"),
  baseDigest: asBaseDigest("b".repeat(64)),
  rank: 8,
  sizeBytes: 1000,
  references: 0,
  pinned: false,
};

/** `node-1 stream=1 epoch=a seq=1 full +d1 -d2` */
function parseReport(words: readonly string[]): { stream: number; report: NodeReport } {
  const value = (name: string) => words.find((word) => word.startsWith(`${name}=`))!.slice(name.length + 1);
  const marked = (mark: string) => words.filter((word) => word.startsWith(mark)).map((word) => asDeltaDigest(word.slice(1)));
  const report: NodeReport = {
    nodeId: asNodeId(words[0]!),
    address: `${words[0]}:7000`,
    epoch: value("epoch"),
    sequence: Number(value("seq")),
    state: "ready",
    bases: new Map(),
    full: words.includes("full"),
    deltas: new Map(marked("+").map((digest) => [digest, residency])),
    removed: marked("-"),
    demand: [],
  };
  return { stream: Number(value("stream")), report };
}

/** Plays a transcript's `>` lines and gives it back with what came of each. Lines without `>` are prose. */
async function play(transcript: string): Promise<string> {
  const clock = new VirtualClock();
  const membership = new Membership(3000);
  const out: string[] = [];
  for (const line of transcript
    .trim()
    .split("\n")
    .map((text) => text.trim())) {
    if (line.startsWith("=")) continue;
    out.push(line);
    if (!line.startsWith(">")) continue;
    const [verb, ...words] = line.slice(1).trim().split(" ");
    if (verb === "report") {
      const { stream, report } = parseReport(words);
      const verdict = membership.report(stream, report, clock.monotonic());
      out.push(verdict.kind === "accepted" ? `= accepted · ${show(membership)}` : `= rejected: ${verdict.why}`);
    } else if (verb === "wait") {
      await clock.advance(Number(words[0]));
      const gone = membership.expire(clock.monotonic());
      out.push(`= gone: ${gone.join(" ") || "nobody"} · ${show(membership)}`);
    }
  }
  return out.join("\n");
}

function show(membership: Membership): string {
  const { version, nodes } = membership.snapshot;
  return `version ${version}: ${[...nodes.values()].map(({ id, epoch, deltas }) => `${id}/${epoch}[${[...deltas.keys()].join(" ")}]`).join(" ") || "nobody"}`;
}

async function told(transcript: string): Promise<void> {
  const lines = transcript
    .trim()
    .split("\n")
    .map((text) => text.trim());
  expect(await play(transcript)).toBe(lines.join("\n"));
}

describe("membership", () => {
  it("tells who is there and what they hold", () =>
    told(`
      A node is in from its first full report; later ones tell what changed.
      > report node-1 stream=1 epoch=a seq=1 full +d1 +d2
      = accepted · version 2: node-1/a[d1 d2]
      > report node-1 stream=1 epoch=a seq=2 +d3 -d1
      = accepted · version 3: node-1/a[d2 d3]
      > report node-2 stream=2 epoch=x seq=1 full
      = accepted · version 4: node-1/a[d2 d3] node-2/x[]
      A full report forgets what was known.
      > report node-1 stream=1 epoch=a seq=3 full +d9
      = accepted · version 5: node-1/a[d9] node-2/x[]
    `));

  it("lets go of the silent", () =>
    told(`
      > report node-1 stream=1 epoch=a seq=1 full +d1
      = accepted · version 2: node-1/a[d1]
      > wait 2000
      = gone: nobody · version 2: node-1/a[d1]
      > report node-2 stream=2 epoch=x seq=1 full
      = accepted · version 3: node-1/a[d1] node-2/x[]
      Three seconds of silence are allowed, no more.
      > wait 1000
      = gone: nobody · version 3: node-1/a[d1] node-2/x[]
      > wait 1
      = gone: node-1 · version 4: node-2/x[]
      It was only slow: on its old stream it is told to begin again, and does, as the same start of itself.
      > report node-1 stream=1 epoch=a seq=2
      = rejected: a stream begins with report 1, which is full
      > report node-1 stream=3 epoch=a seq=1 full +d1
      = accepted · version 5: node-2/x[] node-1/a[d1]
      > wait 3001
      = gone: node-2 node-1 · version 6: nobody
    `));

  it("refuses what is out of order, and keeps what it knew", () =>
    told(`
      A stream begins with a full report, numbered 1.
      > report node-1 stream=1 epoch=a seq=1
      = rejected: a stream begins with report 1, which is full
      > report node-1 stream=1 epoch=a seq=2 full
      = rejected: a stream begins with report 1, which is full
      > report node-1 stream=1 epoch=a seq=1 full +d1
      = accepted · version 2: node-1/a[d1]
      A gap, a repetition.
      > report node-1 stream=1 epoch=a seq=3 -d1
      = rejected: report 3 came after 1
      > report node-1 stream=1 epoch=a seq=1 -d1
      = rejected: report 1 came after 1
      > report node-1 stream=1 epoch=b seq=2 -d1
      = rejected: the epoch changed within a stream: a, then b
      > report node-1 stream=1 epoch=a seq=2
      = accepted · version 3: node-1/a[d1]
    `));

  it("follows a node through new streams and new starts, never back", () =>
    told(`
      > report node-1 stream=1 epoch=a seq=1 full +d1
      = accepted · version 2: node-1/a[d1]
      The stream broke; the node comes back on another. What still arrives on the old one is void.
      > report node-1 stream=2 epoch=a seq=1 full +d1
      = accepted · version 3: node-1/a[d1]
      > report node-1 stream=1 epoch=a seq=2 -d1
      = rejected: a stream begins with report 1, which is full
      The node was started again.
      > report node-1 stream=3 epoch=b seq=1 full
      = accepted · version 4: node-1/b[]
      The process before that one turns out to be alive.
      > report node-1 stream=4 epoch=a seq=1 full +d1
      = rejected: epoch a ended: the node was started again
      > report node-1 stream=3 epoch=b seq=2 +d2
      = accepted · version 5: node-1/b[d2]
    `));
});
