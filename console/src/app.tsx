import { Frame } from "./frame.tsx";
import { session } from "./session/session.ts";
import { SignIn } from "./session/sign-in.tsx";

/** Another key is another page: nothing of the one before stays. */
export function App() {
  const current = session.value;
  return current ? <Frame key={current.keyId} session={current} /> : <SignIn />;
}
