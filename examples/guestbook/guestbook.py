"""A guest book: a page that shows entries, and a form that adds one.

Entries are kept in a file beside this one, as long as the dyno lives.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from flask import Flask, Response, redirect, render_template, request

DATABASE = Path(__file__).with_name("entries.sqlite3")
SCHEMA = "CREATE TABLE IF NOT EXISTS entry (name TEXT NOT NULL, said TEXT NOT NULL)"

app = Flask(__name__)


def database() -> sqlite3.Connection:
    """Open the entries, whose table is made at the first use."""
    connection = sqlite3.connect(DATABASE)
    connection.execute(SCHEMA)
    return connection


@app.get("/")
def show() -> str:
    """Show all entries, the newest first."""
    with database() as connection:
        entries = connection.execute("SELECT name, said FROM entry ORDER BY rowid DESC").fetchall()
    title = os.environ.get("TITLE", "Guest book")
    return render_template("guestbook.html", title=title, entries=entries, dyno=os.environ["DYNO"])


@app.post("/")
def sign() -> Response:
    """Add an entry."""
    entry = (request.form["name"], request.form["said"])
    with database() as connection:
        connection.execute("INSERT INTO entry VALUES (?, ?)", entry)
    return redirect("/", 303)
