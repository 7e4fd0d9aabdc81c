"""Tool calls: how each family of models writes them, and how they are read and enforced.

formats     what a format is: where a call opens, its grammar, how what follows is read
json_calls  Hermes and Qwen, Llama 3, Mistral: JSON between markers
xml_calls   Qwen3-Coder, GLM, LongCat, MiniMax: tags
harmony     gpt-oss: messages in channels
foreign     formats that mlx-lm reads: found and read, but not enforced
detect      which of them a model's chat template asks for
generic     tools in the prompt of a model whose template knows none
rendering   conversations with tools as chat templates take them
"""
