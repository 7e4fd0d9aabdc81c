"""What the hub and its machine did over the last month, for charts and alerts.

grains.py       how finely which stretch of time is kept
models.py       one row for each series and span of time
recording.py    writing what was just seen, and what longer spans come to
seeing.py       what is seen: engine, machine, processes, answers
accelerator.py  how busy the accelerator is, where that can be known without root
reading.py      a range of time, as charts and tables show it
outlook.py      whether memory will get tight
"""
