"""For tests of log drains: receivers on real sockets, which believe nothing that they are sent."""
