from __future__ import annotations

import pytest

from hsup_source_heroku.netrc_file import password_of

HEROKU = "machine api.heroku.com\n  login me@example.com\n  password k3y\n"


@pytest.mark.parametrize(
    "text",
    [
        HEROKU,
        HEROKU.replace("\n  ", " "),
        f"{HEROKU}machine git.heroku.com\n  login me\n  password other\n",
        f"machine git.heroku.com\n  login me\n  password other\n{HEROKU}",
        "machine api.heroku.com\n  method interactive\n  login me\n  password k3y\n",
        "machine api.heroku.com\n  login me\n  password k3y\n  method interactive\n",
        f"machine ftp.example.com\n  protocol ftp\n  port 21\n  password other\n{HEROKU}",
        f"machine empty.example.com\n  login\n  password\n{HEROKU}",
        f"machine empty.example.com\n  login me\n  password\n{HEROKU}",
        f"machine empty.example.com login me password\n{HEROKU}",
        f"default login anonymous password none\n{HEROKU}",
        f"{HEROKU}default login anonymous password none\n",
        f"# machine api.heroku.com password old\n{HEROKU}",
        f"macdef init\n  password macro\n  machine x\n\n{HEROKU}",
        f"machine a login b\nmacdef put\npassword machine\n\n{HEROKU}",
        'machine "api.heroku.com"\n login "a b"\n password "k3y"\n',
        "machine api.heroku.com\n login password\n password k3y\n",
        f"machine api.heroku.com login me password old\n{HEROKU}",
        f"machine x password machine\n{HEROKU}",
        f"{HEROKU}machine\n",
        f"stray words in it\n{HEROKU}",
    ],
)
def test_the_password_of_the_api_is_found(text: str) -> None:
    assert password_of("api.heroku.com", text) == "k3y"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "default login me password k3y\n",
        "machine git.heroku.com login me password k3y\n",
        "machine api.heroku.com\n  login me\n  password\n",
        "machine api.heroku.com\n  login me\n  password\nmachine x password k3y\n",
        "machine\npassword k3y\n",
    ],
)
def test_no_other_password_is_taken(text: str) -> None:
    assert password_of("api.heroku.com", text) is None
