import { trace } from "@opentelemetry/api";
import { type Sampler, SamplingDecision, TraceIdRatioBasedSampler } from "@opentelemetry/sdk-trace";

const NO = { decision: SamplingDecision.NOT_RECORD } as const;
const YES = { decision: SamplingDecision.RECORD_AND_SAMPLED } as const;

/**
 * Whether a span is recorded. Behind the door that is what was decided there, and what nobody decided is not. At the door a
 * caller may say no, but not yes: who could ask for every request to be traced could make it cost what he likes. The share is
 * taken of the trace's id, so all spans of a trace go the same way.
 */
export function samplerOf(ratio: number, decides: boolean): Sampler {
  const share = new TraceIdRatioBasedSampler(ratio);
  return {
    shouldSample(context, traceId) {
      const parent = trace.getSpanContext(context);
      if (parent && (parent.traceFlags & 1) === 0) return NO;
      if (!decides) return parent ? YES : NO;
      return share.shouldSample(context, traceId);
    },
    toString: () => `deltaplane(${ratio}, ${decides ? "decides" : "follows"})`,
  };
}
