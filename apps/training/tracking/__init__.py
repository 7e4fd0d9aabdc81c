"""Training runs in MLflow. The hub's database is the truth; a task brings MLflow up to it.

``facts`` reads what there is to tell, ``telling`` tells what was not told yet and remembers
how far it is, ``writing`` has it done by ``writer``: a process of its own, the only importer
of mlflow, which takes seconds to import and minutes to give up on a server that is away.
"""
