"""The studio: a local web app and API over one queue of jobs, kept in SQLite and worked off by a process of its own.

The server never imports torch. It writes jobs into a table, one worker process claims them and publishes what it made,
and events tell the page. Whatever dies, the table says what was done and what is to be done.
"""
