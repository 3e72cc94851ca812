import { useSignal } from "@preact/signals";
import { type ApiFailure, failureFrom, pathOf, post } from "../../api/index.ts";
import { Button, Failure } from "../../components/index.ts";

interface EvictButtonProps {
  readonly node: string;
  readonly digest: string;
  readonly name: string;
  readonly onEvicted: () => void;
}

/** Needs no confirmation: it stays on disk, and its next request brings it back. */
export function EvictButton({ node, digest, name, onEvicted }: EvictButtonProps) {
  const busy = useSignal(false);
  const failure = useSignal<ApiFailure | undefined>(undefined);
  const evict = async () => {
    busy.value = true;
    failure.value = undefined;
    try {
      await post(`/v1/admin/nodes${pathOf(node)}/evict`, { delta: digest });
      onEvicted();
    } catch (error) {
      failure.value = failureFrom(error);
    }
    busy.value = false;
  };
  return (
    <>
      <Button busy={busy.value} label={`Evict ${name} from ${node}`} onPress={() => void evict()}>
        Evict
      </Button>
      {failure.value && <Failure failure={failure.value} />}
    </>
  );
}
