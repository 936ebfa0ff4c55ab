"""Save the pipeline as a model of MLflow's, for `mlflow models serve`: mlflow_save.py DIRECTORY."""

import os
import pickle
import sys
from pathlib import Path

import mlflow.sklearn

mlflow.sklearn.save_model(
    pickle.loads(Path(os.environ["BENCH_PIPELINE"]).read_bytes()), sys.argv[1], serialization_format="cloudpickle"
)
