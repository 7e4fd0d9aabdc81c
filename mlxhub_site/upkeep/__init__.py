"""Keeping a hub over the years: backups, upgrades, services.

- archive, manifest: a backup's format, and how it is written and read
- contents: what of a data folder belongs in it
- backup, restore: the two directions; database: copies of SQLite; swapping: all or nothing
- schema: what the database lacks, and a copy before it changes
- locks: who may be at work at the same time
- services: units for systemd and launchd
"""
