import { useSignal } from "@preact/signals";
import { type ApiFailure, failureFrom, pathOf, post } from "../../api/index.ts";
import { Button, Confirm, Failure } from "../../components/index.ts";
import type { ClusterNode } from "./shapes.ts";

/** Takes a node out of service, and back into it. Whether that is done is seen on the tile. */
export function DrainButton({ node }: { readonly node: ClusterNode }) {
  const asking = useSignal(false);
  const busy = useSignal(false);
  const failure = useSignal<ApiFailure | undefined>(undefined);
  const turn = async (verb: "drain" | "undrain") => {
    busy.value = true;
    failure.value = undefined;
    try {
      await post(`/v1/admin/nodes${pathOf(node.id)}/${verb}`);
    } catch (error) {
      failure.value = failureFrom(error);
    }
    busy.value = false;
  };
  const ask = () => {
    asking.value = true;
  };
  return (
    <>
      {node.state === "draining" ? (
        <Button label={`Undrain ${node.id}`} busy={busy.value} onPress={() => void turn("undrain")}>
          Undrain
        </Button>
      ) : (
        <Button kind="danger" label={`Drain ${node.id}`} busy={busy.value} onPress={ask}>
          Drain
        </Button>
      )}
      {failure.value && <Failure failure={failure.value} />}
      {asking.value && (
        <Confirm
          title={`Drain ${node.id}?`}
          verb="Drain it"
          onConfirm={() => void turn("drain")}
          onClose={() => {
            asking.value = false;
          }}
        >
          <p>What is hot there is copied elsewhere first. Then it takes no new work; what runs there runs to its end.</p>
          <p class="small muted">It can be taken back into service at any time.</p>
        </Confirm>
      )}
    </>
  );
}
