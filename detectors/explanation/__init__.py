"""Which pixels a detector's decision rests on, and whether such a map can be believed.

Enters: a detector, images, the masks of what was changed in fakes. Leaves: maps (`methods`), pictures with
their legend (`pictures`), files of many images (`explain_images`), measured trust in each method (`checks`),
mean maps of groups with their differences (`group_maps`).
"""
