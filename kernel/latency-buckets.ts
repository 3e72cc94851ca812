/** Bounds of the histograms that routers and nodes both keep, in seconds: the same, so that one can be seen beside the other. */

/** From one step of a small model to a cold start under load. */
export const FIRST_TOKEN_BUCKETS = [0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5, 10, 30, 60];
export const INTER_TOKEN_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 5];
