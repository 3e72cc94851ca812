import { Fault } from "./fault.ts";

/** Where to listen or to call. An IPv6 host is without its brackets. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Reads `host:port`, with a port that exists. `field`: what it was given as. @throws Fault parameter_invalid */
export function parseAddress(address: string, field = "listen"): HostPort {
  const [, host, port] = /^\[?([^\]]+)\]?:(\d{1,5})$/.exec(address) ?? [];
  if (host === undefined || Number(port) > 65_535) {
    throw new Fault("parameter_invalid", `"${address}" is not <host>:<port>`, { detail: { field } });
  }
  return { host, port: Number(port) };
}
