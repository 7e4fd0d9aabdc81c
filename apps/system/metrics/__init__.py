"""Everything that Prometheus may ask: GET /metrics.

collector.py  figures that have a present value, read when they are asked for
families.py   how such figures are written
api.py        the address; what processes counted is added up there
"""
