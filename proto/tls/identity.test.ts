import { expect, test } from "vitest";
import { componentOf, identityOf } from "./identity.ts";

test("a certificate says which part of the cluster its owner is", () => {
  expect(componentOf(`DNS:localhost, URI:${identityOf("router")}, IP Address:127.0.0.1`)).toBe("router");
  expect(componentOf(`URI:${identityOf("node-agent")}`)).toBe("node-agent");
});

test.each([
  ["no name at all", undefined],
  ["another name", "DNS:router"],
  ["a host that is called like the identity", `DNS:"x, URI:${identityOf("router")}"`],
  ["a URI with the identity quoted in it", `URI:"https://x/, URI:${identityOf("router")}"`],
  ["another trust domain", "URI:spiffe://elsewhere/router"],
  ["a part that there is not", "URI:spiffe://deltaplane/admin"],
  ["two parts at once", `URI:${identityOf("router")}, URI:${identityOf("trainer")}`],
  ["something that is no list of names", `URI:${identityOf("router")}, "`],
])("%s is no identity", (_what, names) => {
  expect(componentOf(names)).toBeUndefined();
});
