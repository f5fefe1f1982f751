"""The control directory source of hsup: releases are JSON files put into a folder."""
