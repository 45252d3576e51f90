"""OpenTelemetry in and out: the only room that knows attribute names and wire formats.

`capture` and `receiver` collect the spans of an agent, `decode` reads them off the wire, `normalize` turns them into
`assay.core.trace` values and counts what they cost, `encode` writes such values back out.
"""
