"""The hub that a command talks to: always by its REST API, whichever machine it is on.

- options: which hub, from `--url` or MLXHUB_URL; what is only done on its own machine
- client: calls and event streams, and what their failures mean
- inprocess: carries calls to this machine's hub without a server, so that they work while
  it is down, need no key, and meet the same routes, checks and errors
"""
