export { perSession } from "./per-session.ts";
export { isOperator, may, type Scope, type Session, session, signOut } from "./session.ts";
