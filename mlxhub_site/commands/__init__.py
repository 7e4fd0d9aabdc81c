"""What `mlx-hub` can do: one module for each noun; `mlxhub_site.cli` puts them together."""
