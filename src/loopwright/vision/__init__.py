"""Vision: annotations checked and repaired, embedded data, pictures, metrics, small models.

Nothing is imported here, so that ``loopwright data check`` starts without torch; the registries
find what is here through ``loopwright.vision.all``.
"""
