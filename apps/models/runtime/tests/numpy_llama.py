"""A llama in NumPy float32, straight from the GGUF file: an oracle that shares no code.

It reads with the gguf package, keeps q and k permuted as the file has them, and
turns neighbouring pairs, as llama.cpp does (RoPE of type "normal").
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize


class NumpyLlama:
    def __init__(self, path: Path) -> None:
        reader = GGUFReader(path)
        self.fields = {name: field.contents() for name, field in reader.fields.items()}
        self.tensors = {tensor.name: tensor for tensor in reader.tensors}
        self.heads = int(self.fields["llama.attention.head_count"])
        self.kv_heads = int(self.fields["llama.attention.head_count_kv"])
        self.layers = int(self.fields["llama.block_count"])
        self.theta = float(self.fields["llama.rope.freq_base"])
        self.epsilon = float(self.fields["llama.attention.layer_norm_rms_epsilon"])

    def weight(self, name: str) -> np.ndarray:
        tensor = self.tensors[f"{name}.weight"]
        return np.asarray(dequantize(tensor.data, tensor.tensor_type), np.float32)

    def logits(self, ids: list[int]) -> np.ndarray:
        """Logits of every position, shape (tokens, vocabulary)."""
        embedding = self.weight("token_embd")
        x = embedding[ids]
        for layer in range(self.layers):
            block = f"blk.{layer}."
            x = x + self.attention(block, self.norm(x, f"{block}attn_norm"))
            x = x + self.mlp(block, self.norm(x, f"{block}ffn_norm"))
        return self.norm(x, "output_norm") @ embedding.T

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        scale = np.sqrt((x * x).mean(-1, keepdims=True) + self.epsilon)
        return x / scale * self.weight(name)

    def mlp(self, block: str, x: np.ndarray) -> np.ndarray:
        gate = x @ self.weight(f"{block}ffn_gate").T
        up = x @ self.weight(f"{block}ffn_up").T
        return (gate / (1 + np.exp(-gate)) * up) @ self.weight(f"{block}ffn_down").T

    def attention(self, block: str, x: np.ndarray) -> np.ndarray:
        tokens = len(x)

        def heads(name: str, count: int) -> np.ndarray:
            return (x @ self.weight(block + name).T).reshape(tokens, count, -1).swapaxes(0, 1)

        q = self.rotate(heads("attn_q", self.heads))
        k = self.rotate(heads("attn_k", self.kv_heads))
        v = heads("attn_v", self.kv_heads)
        group = self.heads // self.kv_heads
        k, v = np.repeat(k, group, 0), np.repeat(v, group, 0)
        scores = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])
        scores = np.where(np.tri(tokens, dtype=bool), scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        out = (weights / weights.sum(-1, keepdims=True)) @ v
        return out.swapaxes(0, 1).reshape(tokens, -1) @ self.weight(f"{block}attn_output").T

    def rotate(self, x: np.ndarray) -> np.ndarray:
        """Turn each pair (2i, 2i + 1) by position times its frequency; x is (heads, tokens, dim)."""
        dim = x.shape[-1]
        frequency = self.theta ** (-np.arange(0, dim, 2, dtype=np.float64) / dim)
        angle = np.arange(x.shape[1])[:, None] * frequency
        cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
        even, odd = x[..., 0::2], x[..., 1::2]
        turned = np.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1)
        return turned.reshape(x.shape)
