"""The registry over REST, at /api/models and /api/disk. The pages are those of apps.models."""
