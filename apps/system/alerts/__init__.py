"""What somebody should know of without looking: rules, alerts, and webhooks that tell of them.

conditions.py  what each rule looks at
evaluating.py  alerts that begin and end with it
delivering.py  telling webhooks, again and again until they hear
services.py    changes that a person makes
"""
