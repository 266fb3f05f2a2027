"""Vision: annotations checked and repaired, embedded data, pictures, metrics, small models."""

from loopwright.vision.datasets import DigitScenes, DigitsClassification, DigitsUnlabelled

__all__ = ["DigitScenes", "DigitsClassification", "DigitsUnlabelled"]
