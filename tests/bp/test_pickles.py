"""Models are told from data by the first bytes of a file."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from nachlass_bp import pickles

X = np.random.default_rng(0).random((300, 3))
MODEL = make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)).fit(X, X[:, 0] > 0.5)
DATA = {
    "array": X,
    "frame": pd.DataFrame(X),
    "table": {"model": MODEL},
    "list": [MODEL],
}


def save_arrays(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, X=X)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_of_a_model_is_one_and_of_data_is_none(tmp_path: Path, protocol: int) -> None:
    def looks(value: object) -> bool:
        (tmp_path / "x.bin").write_bytes(pickle.dumps(value, protocol))
        return pickles.looks_like_a_model(".bin", tmp_path / "x.bin")

    assert looks(MODEL)
    (tmp_path / "x.bin").write_bytes(cloudpickle.dumps(FunctionTransformer(lambda x: x), protocol))
    assert pickles.looks_like_a_model(".bin", tmp_path / "x.bin")
    assert {name for name, value in DATA.items() if looks(value)} == set()


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)])
def test_file_of_joblib_is_looked_into(tmp_path: Path, compress: int | tuple[str, int]) -> None:
    def looks(value: object) -> bool:
        joblib.dump(value, tmp_path / "x.joblib", compress=compress)
        return pickles.looks_like_a_model(".joblib", tmp_path / "x.joblib")

    assert looks(MODEL)
    assert not looks(X[:5])
    assert not looks(pd.DataFrame(X[:5]))


@pytest.mark.parametrize(
    "write",
    [
        save_arrays,
        lambda path: pd.DataFrame(X).to_csv(path),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\x03\x04 no archive"),
        lambda path: path.write_bytes(pickle.dumps(MODEL)[:20]),
    ],
    ids=["npz", "csv", "empty", "broken zip", "cut off"],
)
def test_other_files_are_no_models(tmp_path: Path, write: Callable[[Path], object]) -> None:
    write(tmp_path / "x.pkl")
    assert not pickles.looks_like_a_model(".pkl", tmp_path / "x.pkl")
