"""The Procfile source of hsup: releases from Procfile, .env and app.json."""
