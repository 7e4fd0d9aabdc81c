"""Models that turn a text into a vector: what their files say of them, and how they compute."""
