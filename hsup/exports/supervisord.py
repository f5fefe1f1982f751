"""A configuration of supervisord, and a script for each dyno.

What follows a blank and a semicolon is a comment for supervisord, also between quotes: commands and
values stand in the scripts. A program has HOME, USER and LOGNAME of supervisord itself, not of its
user, so the scripts set these. See http://supervisord.org/configuration.html and
http://supervisord.org/subprocess.html#subprocess-environment.
"""

from __future__ import annotations

import os
import shlex

from hsup.exports.program import WRITTEN, Export, Exported, Program, without_release_phase


def export(application: Exported, directory: str) -> Export:
    """Return the configuration, and the scripts; `directory` is where they will be."""
    app = application.safe_app
    scripts = {f"{app}-{one.name}.sh": one for one in application.dynos}
    sections = [_section(application, os.path.join(directory, script)) for script in scripts]
    names = ",".join(script.removesuffix(".sh") for script in scripts)
    group = f"[group:{app}]\nprograms={names}\n"
    files = {f"{app}.conf": "\n".join([f"; {WRITTEN}", *sections, group])}
    files |= {script: _script(application, one) for script, one in scripts.items()}
    remark = f"include {os.path.join(directory, app)}.conf in supervisord.conf"
    remarks = (remark, *without_release_phase(application))
    return Export(files, remarks, for_user=frozenset(scripts))


def _section(application: Exported, script: str) -> str:
    name = os.path.basename(script).removesuffix(".sh")
    lines = (
        f"[program:{name}]",
        f"command=/bin/bash {shlex.quote(script).replace('%', '%%')}",
        f"user={application.user}",
        "autorestart=true",
        "stopsignal=TERM",
        f"stopwaitsecs={max(round(application.grace_seconds), 1)}",
        "stopasgroup=true",
        "killasgroup=true",
        "redirect_stderr=true",
    )
    return "\n".join(lines) + "\n"


def _script(application: Exported, one: Program) -> str:
    variables = (f"{name}={value}" for name, value in one.environment.items())
    user = shlex.quote(application.user)
    account = "" if user.isdigit() else f"export HOME=~{user} USER={user} LOGNAME={user}"
    directory = f"cd {shlex.quote(application.directory)} || exit"
    last = f"exec /usr/bin/env {shlex.join([*variables, *one.argv])}"
    return "\n".join(("#!/bin/bash", f"# {WRITTEN}", account, directory, last)) + "\n"
