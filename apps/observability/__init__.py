"""What every process tells of itself: log lines, and whose work they belong to.

Lowest layer, without Django: web, worker, engine and trainer all use it.

ids.py    which request, run and job a line belongs to
logs.py   how a process writes its lines
lines.py  a line read again, for pages and terminals
"""
