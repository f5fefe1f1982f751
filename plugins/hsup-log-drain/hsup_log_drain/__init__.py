"""Deliver log lines over HTTP, with syslog, to files, to the journal and to OpenTelemetry."""
