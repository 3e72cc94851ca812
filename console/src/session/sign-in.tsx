import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type ApiFailure, failureFrom } from "../api/failure.ts";
import { Brand } from "../brand.tsx";
import { Button, Failure, TextField } from "../components/index.ts";
import { endedBy, signIn } from "./session.ts";

/** Asks for an API key, and tries it. */
export function SignIn() {
  const key = useSignal("");
  const failure = useSignal<ApiFailure | undefined>(endedBy.value);
  const busy = useSignal(false);
  useEffect(() => {
    document.title = "Sign in · Deltaplane";
  }, []);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    busy.value = true;
    try {
      await signIn(key.value.trim(), AbortSignal.timeout(15_000));
    } catch (error) {
      failure.value = failureFrom(error);
    }
    busy.value = false;
  };
  return (
    <main class="sign-in">
      <form onSubmit={(event) => void submit(event)}>
        <Brand />
        <h1>Sign in</h1>
        {failure.value && <Failure failure={failure.value} />}
        <TextField
          label="API key"
          secret
          placeholder="dp_…"
          value={key.value}
          onInput={(value) => {
            key.value = value;
          }}
          hint="It stays in this tab's memory: nothing is stored, and closing the tab forgets it."
          invalid={failure.value?.status === 401}
          autoFocus
        />
        <Button type="submit" kind="primary" busy={busy.value} disabled={key.value.trim() === ""}>
          Sign in
        </Button>
      </form>
    </main>
  );
}
