import type { KeyScope } from "../contract.ts";

/**
 * Who may call what. `infer` and `train` are scopes of a tenant's key (an operator's key has all scopes); `operator` is
 * an admin key, `cluster` the key that routers, schedulers and nodes share. What is not named here is refused, and a
 * test enumerates the services, so that a new RPC without a rule fails it.
 */
export type Rule = Exclude<KeyScope, "admin"> | "operator" | "cluster";

export const RULES: Readonly<Record<string, Rule>> = {
  "/deltaplane.v1.InferenceService/Generate": "infer",
  "/deltaplane.v1.InferenceService/Score": "infer",
  "/deltaplane.v1.InferenceService/CountTokens": "infer",

  "/deltaplane.v1.ModelService/ListModels": "infer",
  "/deltaplane.v1.ModelService/GetModel": "infer",
  "/deltaplane.v1.ModelService/AddBase": "operator",
  "/deltaplane.v1.ModelService/ListBases": "infer",
  "/deltaplane.v1.ModelService/RemoveBase": "operator",
  "/deltaplane.v1.ModelService/PushDelta": "train",
  "/deltaplane.v1.ModelService/ListDeltas": "infer",
  "/deltaplane.v1.ModelService/GetDelta": "infer",
  "/deltaplane.v1.ModelService/PinDelta": "train",
  "/deltaplane.v1.ModelService/RemoveDelta": "train",
  "/deltaplane.v1.ModelService/DownloadDelta": "cluster",
  "/deltaplane.v1.ModelService/PullDelta": "train",
  "/deltaplane.v1.ModelService/SetAlias": "train",
  "/deltaplane.v1.ModelService/ListAliases": "infer",
  "/deltaplane.v1.ModelService/RollBackAlias": "train",
  "/deltaplane.v1.ModelService/RemoveAlias": "train",

  "/deltaplane.v1.FineTuningService/UploadFile": "train",
  "/deltaplane.v1.FineTuningService/ListFiles": "train",
  "/deltaplane.v1.FineTuningService/GetFile": "train",
  "/deltaplane.v1.FineTuningService/DownloadFile": "train",
  "/deltaplane.v1.FineTuningService/DeleteFile": "train",
  "/deltaplane.v1.FineTuningService/CreateJob": "train",
  "/deltaplane.v1.FineTuningService/GetJob": "train",
  "/deltaplane.v1.FineTuningService/ListJobs": "train",
  "/deltaplane.v1.FineTuningService/CancelJob": "train",
  "/deltaplane.v1.FineTuningService/PauseJob": "train",
  "/deltaplane.v1.FineTuningService/ResumeJob": "train",
  "/deltaplane.v1.FineTuningService/WatchEvents": "train",
  "/deltaplane.v1.FineTuningService/ListCheckpoints": "train",

  "/deltaplane.v1.TrainingService/LeaseJob": "cluster",
  "/deltaplane.v1.TrainingService/ReportJob": "cluster",
  "/deltaplane.v1.TrainingService/ReadTrainingFile": "cluster",
  "/deltaplane.v1.TrainingService/SaveCheckpoint": "cluster",
  "/deltaplane.v1.TrainingService/LoadCheckpoint": "cluster",
  "/deltaplane.v1.TrainingService/PublishDelta": "cluster",

  "/deltaplane.v1.BillingService/GetUsage": "infer",
  "/deltaplane.v1.BillingService/GetInvoice": "infer",
  "/deltaplane.v1.BillingService/Export": "infer",
  "/deltaplane.v1.BillingService/ReadJournal": "operator",
  "/deltaplane.v1.BillingService/PostCorrection": "operator",
  "/deltaplane.v1.BillingService/GetRevenueReport": "operator",
  "/deltaplane.v1.BillingService/SubmitClaims": "cluster",

  "/deltaplane.v1.AdminService/CreateTenant": "operator",
  "/deltaplane.v1.AdminService/ListTenants": "operator",
  "/deltaplane.v1.AdminService/GetTenant": "operator",
  "/deltaplane.v1.AdminService/UpdateTenant": "operator",
  "/deltaplane.v1.AdminService/SuspendTenant": "operator",
  "/deltaplane.v1.AdminService/ResumeTenant": "operator",
  "/deltaplane.v1.AdminService/CreateProject": "operator",
  "/deltaplane.v1.AdminService/ListProjects": "operator",
  "/deltaplane.v1.AdminService/AddPriceList": "operator",
  "/deltaplane.v1.AdminService/ListPriceLists": "operator",
  "/deltaplane.v1.AdminService/CreateKey": "operator",
  "/deltaplane.v1.AdminService/ListKeys": "operator",
  "/deltaplane.v1.AdminService/RevokeKey": "operator",
  "/deltaplane.v1.AdminService/GetCluster": "operator",
  "/deltaplane.v1.AdminService/DrainNode": "operator",
  "/deltaplane.v1.AdminService/UndrainNode": "operator",
};
