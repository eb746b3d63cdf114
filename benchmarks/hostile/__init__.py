"""A field in which every device lies: are wrong values ever marked good?"""
