"""Random keys by seed and position."""

from __future__ import annotations

_MASK64 = (1 << 64) - 1
_GOLDEN_GAMMA = 0x9E3779B97F4A7C15


def random_key(seed: int, position: int) -> tuple[int, int]:
    """The key that a row with this seed draws its token number ``position`` with.

    Returns the two 32-bit halves that an MLX key consists of. ``seed`` may be any integer:
    its lowest 64 bits count. SplitMix64 (Steele,
    Lea, Flood 2014) at any place of its stream: nothing has to be drawn before.
    """
    bits = _mix(seed + (position + 1) * _GOLDEN_GAMMA)
    return bits >> 32, bits & 0xFFFFFFFF


def _mix(bits: int) -> int:
    """SplitMix64's finaliser: neighbouring inputs, unrelated outputs."""
    bits &= _MASK64
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK64
    return bits ^ (bits >> 31)
