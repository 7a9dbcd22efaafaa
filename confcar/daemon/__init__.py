"""The composition root and the life around it: puts the parts together, starts them, hears OS signals, ends them."""
