"""OpenTelemetry logs: protobuf messages over HTTP."""
