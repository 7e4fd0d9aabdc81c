"""Datasets on Hugging Face: found, judged by their files, chosen by configuration and split."""
