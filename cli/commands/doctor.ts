import { accessSync, constants, mkdirSync } from "node:fs";
import { createConnection } from "node:net";
import { availableParallelism, freemem } from "node:os";
import { type Command, Option } from "commander";
import type { Provider } from "#node-agent";
import { AdminServiceService } from "#proto";
import { openHome } from "../cluster/home.ts";
import { connect, outputOf } from "../connection.ts";
import { deviceFindings, type Finding } from "../devices/device-findings.ts";
import { PROVIDERS } from "../devices/engine-options.ts";
import { lookAround, type Surroundings } from "../devices/engine-place.ts";
import { tryWebgpu } from "../devices/webgpu-trial.ts";
import { EXIT } from "../exit-code.ts";
import { formatBytes, printRows } from "../output.ts";

const PORTS = [8080, 50_051, 50_052, 9_090];

export function addDoctorCommand(program: Command): void {
  program
    .command("doctor")
    .description("can this machine run Deltaplane, and does the cluster answer?")
    .addOption(new Option("--ep <provider>", "that must work here").choices(PROVIDERS).env("DELTAPLANE_EP").default("cpu"))
    .action(async ({ ep }: { ep: Provider }, command: Command) => {
      const running = openHome().runningCluster();
      const around = lookAround();
      const findings = [
        nodeVersion(),
        await native("onnxruntime-node"),
        await native("tokenizers"),
        machine(around),
        await beside(),
        ...deviceFindings(ep, around, await tryWebgpu()),
        home(),
        ...(running ? [] : await ports()),
        await cluster(command),
      ];
      printRows(outputOf(command), findings, [
        { title: "check", value: (finding) => finding.check },
        { title: "", value: (finding) => (finding.ok ? "ok" : "PROBLEM") },
        { title: "found", value: (finding) => finding.found },
      ]);
      if (findings.some((finding) => !finding.ok)) process.exitCode = EXIT.failure;
    });
}

function nodeVersion(): Finding {
  return { check: "Node 24", ok: Number(process.versions.node.split(".")[0]) >= 24, found: process.versions.node };
}

/** Whether a package with a native library loads here. */
async function native(name: string): Promise<Finding> {
  try {
    await import(name);
    return { check: name, ok: true, found: "loads" };
  } catch (error) {
    return { check: name, ok: false, found: error instanceof Error ? error.message.split("\n")[0]! : String(error) };
  }
}

function machine({ memory }: Surroundings): Finding {
  const sizes = `${formatBytes(memory.sizeBytes)} of ${memory.source}, ${formatBytes(freemem())} free`;
  return { check: "machine", ok: true, found: `${availableParallelism()} cores, ${sizes}` };
}

/** What on the processor comes to the weights, caches and tables of engines, which depend on the base. */
async function beside(): Promise<Finding> {
  const { handOverTerms, nodeTerms, RAM_BYTES_MAX } = await import("#node-agent");
  const told = (terms: ReturnType<typeof nodeTerms>) => terms.map(({ what, sizeBytes }) => `${what} ${formatBytes(sizeBytes)}`).join(", ");
  const found = `a node on the processor: ${told(nodeTerms(RAM_BYTES_MAX))}; each of its engines: ${told(handOverTerms(Number.POSITIVE_INFINITY))} at most`;
  return { check: "memory beside bases", ok: true, found };
}

function home(): Finding {
  const { directory } = openHome();
  try {
    mkdirSync(directory, { recursive: true });
    accessSync(directory, constants.W_OK);
    return { check: "state folder", ok: true, found: directory };
  } catch (error) {
    return { check: "state folder", ok: false, found: String(error) };
  }
}

/** With no cluster running, the ports that `up` wants should be free. */
function ports(): Promise<Finding[]> {
  return Promise.all(
    PORTS.map(async (port) => {
      const taken = await answers(port);
      return {
        check: `port ${port}`,
        ok: !taken,
        found: taken ? "in use: choose another with --port, --grpc-port, --admin-port, --metrics-port" : "free",
      };
    }),
  );
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

async function cluster(command: Command): Promise<Finding> {
  const check = "cluster";
  try {
    await using connection = connect(command);
    const { nodes } = await connection.adminChannel.unary(
      AdminServiceService.getCluster,
      {},
      { timeoutMs: 5_000, signal: connection.signal },
    );
    return { check, ok: nodes.length > 0, found: `${nodes.length} nodes: ${nodes.map((node) => node.view?.id).join(", ")}` };
  } catch (error) {
    const { server, adminServer, context } = command.optsWithGlobals<{ server?: string; adminServer?: string; context?: string }>();
    const asked = server !== undefined || adminServer !== undefined || context !== undefined;
    return { check, ok: !asked, found: error instanceof Error ? error.message : String(error) };
  }
}
