"""OpenAI's Responses API over the hub's one generation path.

    ResponseRequest + what it goes on from → translation → Generate ⇢ engine events
        → answer | stream → store

https://platform.openai.com/docs/api-reference/responses
"""
