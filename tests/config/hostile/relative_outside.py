from .self_include import a
