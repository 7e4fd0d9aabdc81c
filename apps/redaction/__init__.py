"""Secrets in text, made unreadable: for logs, the audit log, and what is shown of errors.

NO DJANGO: every process logs.

- text: what a secret looks like, and which ones are known
- filter: the same for the records of ``logging``
"""
