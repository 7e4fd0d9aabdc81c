"""`mlx-hub up`: the hub's processes, started, watched, restarted and stopped together.

- programs: what runs, and how to tell that it is ready
- process: one program kept running
- supervisor: all of them, one Ctrl-C
- child: inside each process, ends it when the supervisor is gone
- instance: one hub per data folder, and what a killed one left behind
- logs: what the processes print, in files of limited size
"""
