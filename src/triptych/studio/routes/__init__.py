"""The REST API, one file a part."""
