import { once } from "node:events";
import { join } from "node:path";
import { credentials, loadPackageDefinition, type ServiceError } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { protoPath as healthProto } from "grpc-health-check";
import { afterEach, describe, expect, it } from "vitest";
import { Fault, systemClock } from "#kernel";
import { openChannel } from "./channel.ts";
import { type RunningGrpcServer, startGrpcServer } from "./server.ts";
import { countTokens, disposeOpened, generate, opened, piece, serve, until, waiting } from "./testing/running-service.ts";

afterEach(disposeOpened);

describe("a server", () => {
  it("tells its health, for each service and for the whole", async () => {
    const { server } = await serve({});
    const check = await healthClient(server);
    expect(await check("")).toBe("NOT_SERVING");
    server.setServing(true);
    expect(await check("")).toBe("SERVING");
    expect(await check("deltaplane.v1.InferenceService")).toBe("SERVING");
    await expect(check("no.such.Service")).rejects.toMatchObject({ code: 5 });
    server.setServing(false);
    expect(await check("deltaplane.v1.InferenceService")).toBe("NOT_SERVING");
  });

  it("describes itself to those who ask", async () => {
    const { server } = await serve({}, { reflect: [join(import.meta.dirname, "deltaplane/v1/inference.proto")] });
    expect(await listServices(server)).toContain("deltaplane.v1.InferenceService");
  });

  it("lets running calls end when it is drained, and takes no new ones", async () => {
    const gate = Promise.withResolvers<void>();
    const { server, channel } = await serve({
      inference: {
        async *generate() {
          yield piece("before");
          await gate.promise;
          yield piece("after");
        },
      },
    });
    const stream = generate(channel);
    await stream.next();
    const drained = server.drain(10_000);
    const stranger = openChannel({ address: `127.0.0.1:${server.port}`, clock: systemClock });
    opened.push(stranger);
    await expect(countTokens(stranger)).rejects.toMatchObject({ code: "unavailable" });
    gate.resolve();
    expect((await stream.next()).value).toMatchObject({ text: "after" });
    expect((await stream.next()).done).toBe(true);
    await Promise.all([drained, server.drain(10_000)]);
  });

  it.each(["server", "client"])("lets them end however often the %s asks whether the other one lives", async (side) => {
    const keepaliveMs = 20;
    const gate = Promise.withResolvers<void>();
    const { server } = await serve(
      {
        inference: {
          async *generate() {
            yield piece("before");
            await gate.promise;
            yield piece("after");
          },
        },
      },
      side === "server" ? { keepaliveMs } : {},
    );
    const address = `127.0.0.1:${server.port}`;
    const channel = openChannel({ address, clock: systemClock, ...(side === "client" && { keepaliveMs }) });
    opened.push(channel);
    const stream = generate(channel);
    await stream.next();
    const drained = server.drain(10_000);
    await systemClock.after(10 * keepaliveMs);
    gate.resolve();
    expect((await stream.next()).value).toMatchObject({ text: "after" });
    expect((await stream.next()).done).toBe(true);
    await drained;
  });

  it("cuts what has not ended in time", async () => {
    const { reasons, wait } = waiting();
    const { server, channel } = await serve({ inference: { countTokens: (_, { signal }) => wait(signal) } });
    const call = countTokens(channel).catch((fault: unknown) => fault);
    await systemClock.after(50);
    await server.drain(10);
    expect(await call).toBeInstanceOf(Fault);
    await until(() => reasons.length === 1);
  });

  it("says what is wrong with an address that it can't take", async () => {
    const { server } = await serve({});
    const again = startGrpcServer({ listen: `127.0.0.1:${server.port}`, clock: systemClock, services: [] });
    await expect(again).rejects.toMatchObject({ reason: "parameter_invalid", detail: { field: "listen" } });
  });
});

// biome-ignore lint/suspicious/noExplicitAny: clients made from .proto files at run time have no types.
type Untyped = any;

function untypedClient(server: RunningGrpcServer, file: string, find: (root: Untyped) => Untyped): Untyped {
  const ServiceClient = find(loadPackageDefinition(loadSync(file, { enums: String })));
  const client = new ServiceClient(`127.0.0.1:${server.port}`, credentials.createInsecure());
  opened.push({ [Symbol.asyncDispose]: async () => client.close() });
  return client;
}

async function healthClient(server: RunningGrpcServer) {
  const client = untypedClient(server, healthProto, (root) => root.grpc.health.v1.Health);
  return (service: string) =>
    new Promise<string>((resolve, reject) => {
      client.check({ service }, (error: ServiceError | null, answer: { status: string }) =>
        error ? reject(error) : resolve(answer.status),
      );
    });
}

async function listServices(server: RunningGrpcServer): Promise<readonly string[]> {
  const file = join(import.meta.dirname, "../node_modules/@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto");
  const client = untypedClient(server, file, (root) => root.grpc.reflection.v1.ServerReflection);
  const call = client.serverReflectionInfo();
  call.on("error", () => undefined); // Closing the client cancels what is left of the call.
  call.write({ listServices: "" });
  const [answer] = await once(call, "data");
  call.end();
  return answer.listServicesResponse.service.map(({ name }: { name: string }) => name);
}
