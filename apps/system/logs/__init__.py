"""The log of all processes: requests in it, and reading it.

requests.py  gives each request its id and writes a line at its end
reading.py   lines of all processes, the newest first, that fit a search
views.py     the Logs page, and api.py the same over REST
"""
