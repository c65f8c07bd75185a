"""Training: skills on a page set, and the pocket backbone from scratch."""
