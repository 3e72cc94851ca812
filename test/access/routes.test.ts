import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HTTP_ROUTES, type HttpRoute, type RouteScope } from "../../router/http/routes.ts";
import { IDENTITIES, type Identity, type LiveSystem, startLiveSystem } from "./live-system.ts";

/** Who gets past which scope. The server itself refuses to start with a route that the table does not name. */
const ADMITTED: Readonly<Record<RouteScope, readonly Identity[]>> = {
  public: IDENTITIES,
  key: ["infer only", "train only", "tenant", "operator"],
  infer: ["infer only", "tenant", "operator"],
  train: ["train only", "tenant", "operator"],
  operator: ["operator"],
};
const FORBIDDEN: readonly Identity[] = ["infer only", "train only", "tenant", "suspended tenant"];

let live: LiveSystem;
beforeAll(async () => {
  live = await startLiveSystem();
});
afterAll(() => live[Symbol.asyncDispose]());

async function ask(
  { method, path }: HttpRoute,
  credential: string | undefined,
): Promise<{ readonly status: number; readonly text: string }> {
  const url = live.http + path.replace(":id", `file-${"0".repeat(24)}`).replace(/\*|:\w+/, "nothing");
  const answer = await fetch(url, {
    method,
    headers: {
      ...(credential !== undefined && { authorization: `Bearer ${credential}` }),
      ...(method === "POST" && { "content-type": "application/json" }),
    },
    ...(method === "POST" && { body: "{}" }),
  });
  return { status: answer.status, text: await answer.text() };
}

describe.each(HTTP_ROUTES.map((route) => [`${route.method} ${route.path}`, route] as const))("%s", (_name, route) => {
  test.each(IDENTITIES)("asked by: %s", async (identity) => {
    const { status, text } = await ask(route, live.credential(identity));
    if (ADMITTED[route.scope].includes(identity)) {
      expect([401, 403, 405]).not.toContain(status);
      expect(status).toBeLessThan(500);
      expect(text).not.toContain("unknown_url");
    } else expect(status).toBe(FORBIDDEN.includes(identity) ? 403 : 401);
  });
});

test("a path that does not exist is answered without a look at the key", async () => {
  for (const identity of ["nobody", "revoked key", "tenant"] as const) {
    const credential = live.credential(identity);
    const answer = await fetch(`${live.http}/v1/nothing`, {
      headers: credential === undefined ? {} : { authorization: `Bearer ${credential}` },
    });
    expect(answer.status).toBe(404);
  }
});
