import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { Fault, systemClock } from "#kernel";
import { type GrpcChannel, openChannel, readRoots } from "#proto";
import { openHome } from "./cluster/home.ts";
import type { OutputFormat } from "./output.ts";

/** What every command that talks to a cluster needs. */
export interface Connection extends AsyncDisposable {
  readonly channel: GrpcChannel;
  /** The administration's own door, opened at first use. @throws Fault parameter_invalid when nobody says where it is */
  readonly adminChannel: GrpcChannel;
  readonly output: OutputFormat;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
}

const Globals = z.object({
  server: z.string().optional(),
  adminServer: z.string().optional(),
  key: z.string().optional(),
  context: z.string().optional(),
  tlsCa: z.string().optional(),
  output: z.enum(["table", "json"]),
});
const Contexts = z.record(
  z.string(),
  z.object({ server: z.string(), adminServer: z.string().optional(), key: z.string().optional(), tlsCa: z.string().optional() }),
);

export function outputOf(command: Command): OutputFormat {
  return Globals.parse(command.optsWithGlobals()).output;
}

/**
 * Opens a channel to the server that flags, environment or context name; without any of them to the cluster that runs
 * in this folder, with its admin key. Whoever names a server names its administration too: they may be different machines.
 */
export function connect(command: Command): Connection {
  const globals = Globals.parse(command.optsWithGlobals());
  const context = globals.context === undefined ? undefined : readContext(globals.context);
  const named = globals.server !== undefined || globals.adminServer !== undefined || context !== undefined;
  const local = named ? undefined : openHome().runningCluster();
  const address = globals.server ?? context?.server ?? local?.grpcAddress;
  const adminAddress = globals.adminServer ?? context?.adminServer ?? local?.adminAddress;
  const credential = globals.key ?? context?.key ?? local?.adminKey;
  if (address === undefined && adminAddress === undefined) {
    throw new Fault("store_unreachable", "no cluster runs in this folder: start one with `deltaplane up`, or name one with --server");
  }
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort(new Fault("client_gone", "interrupted"));
  process.once("SIGINT", interrupt);
  const caFile = globals.tlsCa ?? context?.tlsCa;
  const channel = lazyChannel(address, { credential, caFile }, "server");
  const adminChannel = lazyChannel(adminAddress, { credential, caFile }, "admin-server");
  return {
    get channel() {
      return channel.open();
    },
    get adminChannel() {
      return adminChannel.open();
    },
    output: globals.output,
    signal: interrupted.signal,
    async [Symbol.asyncDispose]() {
      process.removeListener("SIGINT", interrupt);
      await Promise.all([channel.close(), adminChannel.close()]);
    },
  };
}

interface ChannelCredentials {
  readonly credential: string | undefined;
  /** Whose signature is trusted; the system's roots when absent. */
  readonly caFile: string | undefined;
}

/** In the clear, unless a CA or `https://` before the address says otherwise. */
function lazyChannel(address: string | undefined, { credential, caFile }: ChannelCredentials, flag: string) {
  let opened: GrpcChannel | undefined;
  return {
    open(): GrpcChannel {
      if (address === undefined) throw new Fault("parameter_invalid", `name the address with --${flag}`, { detail: { field: flag } });
      const secure = caFile !== undefined || address.startsWith("https://");
      const tls = secure && { tls: { kind: "roots", ...(caFile !== undefined && { roots: readRoots(caFile) }) } as const };
      const plain = address.replace(/^https:\/\//, "");
      opened ??= openChannel({ address: plain, clock: systemClock, ...(credential !== undefined && { credential }), ...tls });
      return opened;
    },
    close: async () => opened?.[Symbol.asyncDispose](),
  };
}

/** Runs a command's work over a connection, and closes it whatever happens. */
export async function withConnection(command: Command, work: (connection: Connection) => Promise<void>): Promise<void> {
  await using connection = connect(command);
  await work(connection);
}

function readContext(name: string): z.infer<typeof Contexts>[string] {
  const file = join(process.env["XDG_CONFIG_HOME"] ?? join(homedir(), ".config"), "deltaplane/contexts.json");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new Fault("file_missing", `there are no contexts: ${file} cannot be read`, { detail: { file }, cause });
  }
  const contexts = Contexts.safeParse(parseJson(text));
  if (!contexts.success)
    throw new Fault("file_malformed", `${file} is not {"<name>": {"server": …, "adminServer": …, "key": …, "tlsCa": …}}`, {
      detail: { file },
    });
  const context = contexts.data[name];
  if (!context) throw new Fault("resource_unknown", `no context ${name} in ${file}`, { detail: { resource: name } });
  return context;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The schema refuses it with the file's name.
  }
}
