"""Pretraining of the pocket backbone: recipe, page batches, objective, loop and its state on disk."""
