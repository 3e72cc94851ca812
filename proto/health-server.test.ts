import { credentials, loadPackageDefinition, type ServiceError } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { protoPath } from "grpc-health-check";
import { expect, test } from "vitest";
import { systemClock } from "#kernel";
import { startHealthServer } from "./health-server.ts";

test("liveness is that anything answers, readiness is what the part says of itself, now", async () => {
  let ready = false;
  await using server = await startHealthServer({ clock: systemClock }, { listen: "127.0.0.1:0", ready: () => ready });
  using client = healthClient(server.port);
  expect(await client.check("liveness")).toBe("SERVING");
  expect(await client.check("readiness")).toBe("NOT_SERVING");
  ready = true;
  await expect.poll(() => client.check("readiness")).toBe("SERVING");
  expect(await client.check("")).toBe("SERVING");
  ready = false; // It drains.
  await expect.poll(() => client.check("")).toBe("NOT_SERVING");
  expect(await client.check("liveness")).toBe("SERVING");
  await expect(client.check("deltaplane.v1.NodeService")).rejects.toMatchObject({ code: 5 });
});

function healthClient(port: number) {
  // biome-ignore lint/suspicious/noExplicitAny: clients made from .proto files at run time have no types.
  const { Health } = (loadPackageDefinition(loadSync(protoPath, { enums: String })) as any).grpc.health.v1;
  const client = new Health(`127.0.0.1:${port}`, credentials.createInsecure());
  return {
    check: (service: string) =>
      new Promise<string>((resolve, reject) => {
        client.check({ service }, (error: ServiceError | null, answer: { status: string }) =>
          error ? reject(error) : resolve(answer.status),
        );
      }),
    [Symbol.dispose]: () => client.close(),
  };
}
