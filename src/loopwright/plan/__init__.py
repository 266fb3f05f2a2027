"""The plan: what a run will do and what is wrong with it, before it starts."""

from loopwright.plan.facts import Facts, read_facts
from loopwright.plan.finding import Finding
from loopwright.plan.plan import Plan, check, make_plan
from loopwright.plan.rates import Curve

__all__ = ["Curve", "Facts", "Finding", "Plan", "check", "make_plan", "read_facts"]
