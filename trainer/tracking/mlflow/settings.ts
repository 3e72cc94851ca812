import { Fault } from "#kernel";

/** How runs reach an MLflow server: the words of MLflow's own client. */
export interface MlflowSettings {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly experiment: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME, MLFLOW_TRACKING_TOKEN or _USERNAME and _PASSWORD; undefined when no server is
 * named. @throws Fault parameter_invalid
 */
export function mlflowSettings(env: Readonly<Record<string, string | undefined>>): MlflowSettings | undefined {
  const uri = env["MLFLOW_TRACKING_URI"];
  if (!uri) return undefined;
  if (!URL.canParse(uri) || !/^https?:/.test(uri)) {
    const detail = { field: "MLFLOW_TRACKING_URI" };
    throw new Fault("parameter_invalid", "MLFLOW_TRACKING_URI is no http or https URL; other stores need MLflow's server in front", {
      detail,
    });
  }
  const { MLFLOW_TRACKING_TOKEN: token, MLFLOW_TRACKING_USERNAME: user, MLFLOW_TRACKING_PASSWORD: password } = env;
  const basic = user ? `Basic ${Buffer.from(`${user}:${password ?? ""}`).toString("base64")}` : undefined;
  const authorization = token ? `Bearer ${token}` : basic;
  return {
    baseUrl: uri.replace(/\/+$/, ""),
    experiment: env["MLFLOW_EXPERIMENT_NAME"] || "deltaplane-fine-tune",
    headers: authorization === undefined ? {} : { authorization },
  };
}
