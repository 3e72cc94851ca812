import { Button, TextArea } from "../../components/index.ts";
import { playground } from "./playground-state.ts";

/** What is asked: the prompt as it is, or the next message. */
export function Composer() {
  const { mode, system, text, write, send, stop, runsOpen, shownTurns, clear, comparing } = playground();
  const chat = mode.value === "chat";
  const running = runsOpen.value.length > 0;
  return (
    <div class="composer">
      {chat && shownTurns.value.length === 0 && (
        <TextArea
          label="System message"
          rows={1}
          value={system.value}
          placeholder="How the model should behave; may stay empty"
          onInput={(value) => {
            system.value = value;
          }}
        />
      )}
      <TextArea
        label={chat ? "Message" : "Prompt"}
        rows={chat ? 2 : 6}
        value={text.value}
        placeholder={chat ? "Ask something" : "The model goes on where this ends"}
        onInput={write}
        onSubmit={send}
      />
      <div class="row">
        {running ? (
          <Button kind="primary" icon="stop" onPress={stop}>
            Stop
          </Button>
        ) : (
          <Button kind="primary" icon="play" disabled={text.value === ""} onPress={send}>
            {comparing.value ? "Ask both" : chat ? "Send" : "Run"}
          </Button>
        )}
        <span class="hint">Ctrl + Enter</span>
        {shownTurns.value.length > 0 && (
          <Button kind="quiet" onPress={clear}>
            Clear
          </Button>
        )}
      </div>
    </div>
  );
}
