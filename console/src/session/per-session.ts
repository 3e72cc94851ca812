import { type Session, session } from "./session.ts";

/**
 * What a view remembers while somebody is signed in, so that going to another view and back loses nothing; another key finds
 * nothing of it. @throws when nobody is signed in: views are shown to sessions only
 */
export function perSession<T>(create: () => T): () => T {
  const remembered = new WeakMap<Session, T>();
  return () => {
    const current = session.value;
    if (!current) throw new Error("nobody is signed in");
    const known = remembered.get(current) ?? create();
    remembered.set(current, known);
    return known;
  };
}
