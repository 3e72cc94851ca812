import { ResponderBuilder, ServerInterceptingCall, type ServerInterceptor, ServerListenerBuilder } from "@grpc/grpc-js";
import { type Component, Fault } from "#kernel";
import { faultToStatus } from "../status.ts";
import { componentOf } from "./identity.ts";

/** Refuses every call of a part of the cluster that may not make it, before the handler hears of it. */
export function checkCallers(callers: (path: string) => readonly Component[]): ServerInterceptor {
  return (method, call) => {
    const component = componentOf(call.getAuthContext().sslPeerCertificate?.subjectaltname);
    if (component !== undefined && callers(method.path).includes(component)) return new ServerInterceptingCall(call);
    const who = component ?? "certificate without a part of the cluster in it";
    const refusal = faultToStatus(new Fault("peer_refused", `a ${who} may not call ${method.path}`));
    const listener = new ServerListenerBuilder().withOnReceiveMetadata(() => call.sendStatus(refusal)).build();
    return new ServerInterceptingCall(call, new ResponderBuilder().withStart((next) => next(listener)).build());
  };
}
