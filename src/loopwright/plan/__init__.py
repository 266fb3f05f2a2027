"""The plan: what a run will do and what is wrong with it, before it starts."""

from loopwright.plan.facts import Facts, read_facts
from loopwright.plan.finding import Finding
from loopwright.plan.plan import Curve, Plan, check, make_plan

__all__ = ["Curve", "Facts", "Finding", "Plan", "check", "make_plan", "read_facts"]
