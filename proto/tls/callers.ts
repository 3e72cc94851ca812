import { COMPONENTS, type Component } from "#kernel";

/**
 * Which parts of the cluster may call what of each other, by what their certificates say. What is not named here is
 * refused, and a test enumerates the services. Who calls from outside has a key instead, and comes through other doors.
 */
const CALLERS: Readonly<Record<string, readonly Component[]>> = {
  "/deltaplane.v1.ClusterService/Report": ["node-agent"],
  "/deltaplane.v1.ClusterService/WatchSnapshot": ["router", "scheduler"],
  // A node that is told to stop has itself drained.
  "/deltaplane.v1.ClusterService/DrainNode": ["router", "node-agent"],

  "/deltaplane.v1.NodeService/Generate": ["router"],
  "/deltaplane.v1.NodeService/Score": ["router"],
  "/deltaplane.v1.NodeService/CountTokens": ["router"],
  "/deltaplane.v1.NodeService/AttachBase": ["router", "scheduler"],
  "/deltaplane.v1.NodeService/Inspect": ["router"],
  "/deltaplane.v1.NodeService/Attach": ["router", "scheduler"],
  "/deltaplane.v1.NodeService/Detach": ["router", "scheduler"],
  "/deltaplane.v1.NodeService/Drain": ["router", "scheduler"],
  "/deltaplane.v1.NodeService/Resume": ["router", "scheduler"],
  "/deltaplane.v1.NodeService/FetchDelta": ["node-agent"],

  "/deltaplane.v1.ModelService/DownloadDelta": ["node-agent"],
  "/deltaplane.v1.BillingService/SubmitClaims": ["node-agent"],
  "/deltaplane.v1.TrainingService/LeaseJob": ["trainer"],
  "/deltaplane.v1.TrainingService/ReportJob": ["trainer"],
  "/deltaplane.v1.TrainingService/ReadTrainingFile": ["trainer"],
  "/deltaplane.v1.TrainingService/SaveCheckpoint": ["trainer"],
  "/deltaplane.v1.TrainingService/LoadCheckpoint": ["trainer"],
  "/deltaplane.v1.TrainingService/PublishDelta": ["trainer"],
};

/** Every part may ask for another's health. */
export function callersOf(path: string): readonly Component[] {
  return path.startsWith("/grpc.health.v1.Health/") ? COMPONENTS : Object.hasOwn(CALLERS, path) ? CALLERS[path]! : [];
}
