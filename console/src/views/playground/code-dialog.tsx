import { useSignal } from "@preact/signals";
import { CopyButton, Dialog, Tabs } from "../../components/index.ts";
import type { Call } from "./call.ts";
import { LANGUAGES } from "./code/snippet.ts";

/** The call that the present settings stand for, in the reader's language. */
export function CodeDialog({ call, onClose }: { readonly call: Call; readonly onClose: () => void }) {
  const chosen = useSignal(LANGUAGES[0]!.id);
  const place = { origin: location.origin, hostname: location.hostname, encrypted: location.protocol === "https:" };
  const language = LANGUAGES.find(({ id }) => id === chosen.value)!;
  const text = language.snippet(call, place);
  const options = LANGUAGES.map(({ id, label }) => ({ value: id, label }));
  return (
    <Dialog title="View code" onClose={onClose}>
      <div class="stack">
        <div class="row row-spread">
          <Tabs
            label="Language"
            value={chosen.value}
            options={options}
            onChange={(value) => {
              chosen.value = value;
            }}
          />
          <CopyButton text={text} />
        </div>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
        <pre class="code" tabIndex={0}>
          {text}
        </pre>
        <p class="hint">
          The key is read from <code>DELTAPLANE_API_KEY</code>. {chosen.value === "grpcurl" && "Your operator knows the port for gRPC."}
        </p>
      </div>
    </Dialog>
  );
}
