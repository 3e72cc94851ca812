import { expect, test } from "vitest";
import { runKillStorm } from "./kill-storm.ts";
import { hasRedisServer } from "./redis-server.ts";

const KILLS = 12;

test.skipIf(!hasRedisServer())(
  "routers, nodes, engines and redis-server die under load, and every token is billed once (skipped without redis-server)",
  { timeout: 240_000 },
  async () => {
    const seed = Number(process.env["DELTAPLANE_SEED"] ?? Date.now() % 1_000_000);
    const storm = await runKillStorm({ kills: KILLS, seed, store: "redis", progress: (line) => console.log(line) });
    const replay = `DELTAPLANE_SEED=${seed} npm test -- test/campaign/kill-storm.test.ts`;
    expect(storm.violations, `to see it again: ${replay}`).toEqual([]);
    expect(storm.kills).toHaveLength(KILLS);
    expect(storm.figures.tokensCharged, "the storm billed something").toBeGreaterThan(0);
  },
);
