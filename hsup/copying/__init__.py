"""Copy what a program writes while it is on its way to hsup's caller: `hsup run` with log drains.

The caller gets what it would get without: of each stream what it was, a terminal or not, with
every byte. Two processes share the work, so that neither a driver nor its program notices more
than that a file or a socket has become a pipe:

    caller's streams ◀── relay ◀── pipes, or a terminal ◀── runner: the driver, the program
                           │ ▲                                 │
                           ▼ └──────────── channel ────────────┘
                         lines

The runner is hsup's own process, and the relay its child: the program shares the terminal, its
signals and its jobs with the caller's shell, as ever. Only if standard input and output both are
terminals, the program gets a terminal of its own, and it is the other way round: see `terminal`.
"""
