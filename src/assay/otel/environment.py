"""Environment variables that make an agent in another process send its spans, with their content, to our receiver."""

from __future__ import annotations


def content_environment() -> dict[str, str]:
    """Return what makes instrumentations record message content, in current names, as span attributes.

    Set it before the agent is imported. Content is off by default in most instrumentations.
    """
    return {
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
        "TRACELOOP_TRACE_CONTENT": "true",
        # a conversation in flattened attributes easily has more than the default of 128
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "2048",
    }


def exporter_environment(endpoint: str, trace_id: str, root_id: str) -> dict[str, str]:
    """Return what makes an OpenTelemetry SDK of any language export to `endpoint` (`http://127.0.0.1:<port>`).

    `TRACEPARENT` names the episode's trace and root span. Exports are frequent and small, so that programs that end
    without a flush lose little and no request nears the receiver's limit.
    """
    return content_environment() | {
        "TRACEPARENT": f"00-{trace_id}-{root_id}-01",
        "OTEL_SDK_DISABLED": "false",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_TRACES_SAMPLER": "parentbased_always_on",
        "OTEL_PROPAGATORS": "tracecontext,baggage",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "64",
    }
