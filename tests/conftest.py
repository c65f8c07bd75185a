"""Its place puts this folder on the path, so that tests of different rooms share `tiny_models`."""
