"""Log drains that speak syslog (RFC 5424): over TCP, TLS and UDP."""
