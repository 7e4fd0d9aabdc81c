"""Anthropic's Messages API over the hub's one generation path.

    MessagesRequest → translation → Generate ⇢ engine events → answer | stream

https://docs.anthropic.com/en/api/messages
"""
