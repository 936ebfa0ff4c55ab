"""A regressor of homes, fitted on a table of every kind of column that drift is told of."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

ROWS = 400


def homes() -> pd.DataFrame:
    """Return what the notebook had: whole and broken numbers, categories, texts of one person each."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "rooms": random.integers(1, 9, ROWS),
            "area": random.normal(90, 30, ROWS).round(1),
            "town": random.choice(["Ulm", "Jena", "Bonn"], ROWS, p=[0.5, 0.3, 0.2]),
            "owner": [f"owner {i}" for i in range(ROWS)],
        }
    )
    frame.loc[::50, "area"] = np.nan
    return frame


def home_stages(frame: pd.DataFrame) -> list[Any]:
    columns = ColumnTransformer(
        [
            ("numbers", SimpleImputer(), ["rooms", "area"]),
            ("towns", OneHotEncoder(handle_unknown="ignore"), ["town"]),
            ("owners", make_pipeline(TfidfVectorizer()), "owner"),
        ]
    )
    price = frame["rooms"] * 50 + frame["area"].fillna(90) * 3
    return [columns.fit(frame), LinearRegression().fit(columns.transform(frame), price)]


def as_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the table as a client sends it."""
    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records"))
    return rows
