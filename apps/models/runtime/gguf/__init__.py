"""GGUF file to mlx-lm model folder, without MLX and without trusting the file.

Read along the way a file goes: ``reader`` (bytes to checked header), ``names``
and ``config`` (what model it is), ``tensors`` (its weights), ``tokenizer``,
``importer`` (all of it into a folder, or nothing).

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""
