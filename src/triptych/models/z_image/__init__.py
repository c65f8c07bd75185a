"""Z-Image's model for pictures with pictures: Omni."""
