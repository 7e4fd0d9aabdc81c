"""OpenAI's requests and answers, as JSON. https://platform.openai.com/docs/api-reference"""
