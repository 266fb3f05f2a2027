"""Metrics and evaluators: what is kept of each sample, merged over ranks, named."""

from loopwright.evaluation.classification import Accuracy, ConfusionMatrix
from loopwright.evaluation.confusion import Areas, areas, confusion
from loopwright.evaluation.evaluator import (
    Evaluator,
    get_metric_value,
    merge_metrics,
    prefix_metrics,
)
from loopwright.evaluation.inference import (
    DatasetEvaluator,
    DatasetEvaluators,
    flatten_results_dict,
    inference_context,
    inference_on_dataset,
    print_csv_format,
    verify_results,
)
from loopwright.evaluation.metric import BaseMetric, DumpResults, load_results
from loopwright.evaluation.segmentation import IoUMetric
from loopwright.evaluation.torchmetric import TorchMetric

__all__ = [
    "Accuracy",
    "Areas",
    "BaseMetric",
    "ConfusionMatrix",
    "DatasetEvaluator",
    "DatasetEvaluators",
    "DumpResults",
    "Evaluator",
    "IoUMetric",
    "TorchMetric",
    "areas",
    "confusion",
    "flatten_results_dict",
    "get_metric_value",
    "inference_context",
    "inference_on_dataset",
    "load_results",
    "merge_metrics",
    "prefix_metrics",
    "print_csv_format",
    "verify_results",
]
