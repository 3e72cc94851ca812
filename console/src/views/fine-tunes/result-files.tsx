import { useSignal } from "@preact/signals";
import { type ApiFailure, ask, failureFrom, pathOf, saveFile } from "../../api/index.ts";
import { Button, Failure, Panel } from "../../components/index.ts";

/** What was measured at every step, to keep. */
export function ResultFiles({ ids }: { readonly ids: readonly string[] }) {
  const failure = useSignal<ApiFailure | undefined>(undefined);
  const save = async (id: string) => {
    failure.value = undefined;
    try {
      await saveFile(await ask("GET", `/v1/files${pathOf(id, "content")}`), `${id}.csv`);
    } catch (error) {
      failure.value = failureFrom(error);
    }
  };
  return (
    <Panel title="Results">
      {failure.value && <Failure failure={failure.value} />}
      <div class="row">
        {ids.map((id) => (
          <Button key={id} icon="download" onPress={() => void save(id)}>
            Every step, as CSV
          </Button>
        ))}
      </div>
    </Panel>
  );
}
