"""What dynos write and what hsup tells, line by line from pipes to log sinks."""
