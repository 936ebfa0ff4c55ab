"""Estimators whose training drew random numbers that nothing fixes: the next one makes another model.

A `random_state` of None matters only where the estimator draws numbers. What is said of each class below is what its
documentation in scikit-learn 1.9 says of the parameter; for a class that isn't there, None matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

_NAME = "random_state"
_OWN_SEED = frozenset({"xgboost", "lightgbm", "catboost"})
"""Libraries whose None means a seed of their own, the same each time."""


def _liblinear(estimator: Any) -> bool:
    # It draws for its coordinate descents, and not for the usual primal problem with an L2 penalty.
    return estimator.dual is True or getattr(estimator, "penalty", "l2") == "l1" or _l1_ratio(estimator) == 1


def _l1_ratio(estimator: Any) -> Any:
    return getattr(estimator, "l1_ratio", None)


def _logistic(estimator: Any) -> bool:
    return estimator.solver in ("sag", "saga") or (estimator.solver == "liblinear" and _liblinear(estimator))


def _boosts_at_random(estimator: Any) -> bool:
    # Beyond 200,000 rows it also draws those that it makes bins of, which the fitted estimator doesn't tell.
    return bool(getattr(estimator, "do_early_stopping_", False)) or getattr(estimator, "max_features", 1.0) != 1.0


def _decomposes_at_random(estimator: Any) -> bool:
    return getattr(estimator, "_fit_svd_solver", estimator.svd_solver) in ("randomized", "arpack")


def _begins_at_random(estimator: Any) -> bool:
    return isinstance(estimator.init, str)  # Else it is an array, or a function of the author's.


def _never(_estimator: Any) -> bool:
    return False


def _each(*classes: str, **values: tuple[object, ...]) -> dict[str, Mapping[str, tuple[object, ...]]]:
    return dict.fromkeys(classes, values)


_WHEN: Mapping[str, Mapping[str, tuple[object, ...]]] = {
    **_each("Ridge", "RidgeClassifier", solver=("sag", "saga")),
    **_each("SVC", "NuSVC", probability=(True,)),
    **_each("SGDClassifier", "SGDRegressor", "SGDOneClassSVM", "Perceptron", shuffle=(True,)),
    **_each("PassiveAggressiveClassifier", "PassiveAggressiveRegressor", "TargetEncoder", shuffle=(True,)),
    **_each("Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", selection=("random",)),
    **_each("MultiTaskLasso", "MultiTaskLassoCV", selection=("random",)),
    **_each("MultiTaskElasticNet", "MultiTaskElasticNetCV", selection=("random",)),
    **_each("ClassifierChain", "RegressorChain", order=("random",)),
    **_each("LinearSVR", dual=(True,)),
    **_each("KernelPCA", eigen_solver=("arpack", "randomized")),
    **_each("FactorAnalysis", svd_method=("randomized",)),
    **_each("DummyClassifier", strategy=("stratified", "uniform")),
    **_each("IterativeImputer", sample_posterior=(True,), imputation_order=("random",)),
}
"""Classes that draw numbers when one of these parameters has one of these values."""

_TESTS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("LogisticRegression", "LogisticRegressionCV"), _logistic),
    "LinearSVC": _liblinear,  # dual="auto" chooses the primal problem for most data.
    **dict.fromkeys(("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), _boosts_at_random),
    "PCA": _decomposes_at_random,
    **dict.fromkeys(("KMeans", "TSNE"), _begins_at_random),
    **dict.fromkeys(("Lars", "LassoLars"), lambda estimator: estimator.jitter is not None),
    **dict.fromkeys(
        ("GaussianProcessClassifier", "GaussianProcessRegressor"), lambda each: each.n_restarts_optimizer > 0
    ),
    "TunedThresholdClassifierCV": lambda estimator: isinstance(estimator.cv, float),
    # These draw rows only from many thousands, and the fitted ones don't tell how many there were.
    **dict.fromkeys(("QuantileTransformer", "KBinsDiscretizer"), _never),
}
"""Classes that take more to tell."""


def unseeded_warnings(estimators: Sequence[Any], notebooks: Sequence[str]) -> list[str]:
    """Return a line for each estimator whose training can't be repeated; `notebooks` made the stages, one each."""
    lines = [
        f"{notebook}: {type(found).__name__}{f' ({path})' if path else ''} has random_state=None: "
        "each training gives another model. Set it in the notebook."
        for estimator, notebook in zip(estimators, notebooks, strict=True)
        for path, found in _unseeded(estimator)
    ]
    # The build shows the line as its platform takes it.
    return [*lines[:-1], f"{lines[-1]} Or seed all of them, with\n  NACHLASS_SEED=0"] if lines else []


def _unseeded(estimator: Any) -> Iterator[tuple[str, Any]]:
    """Yield (parameter path, estimator) of each estimator inside that drew random numbers; "" is the stage itself."""
    try:
        parameters: dict[str, Any] = estimator.get_params(deep=True)
    # The author's own code, in the classes that he wrote; some have no such method.
    except Exception:  # noqa: BLE001
        return
    owners = {"": estimator, **parameters}
    for name, value in parameters.items():
        path, _, last = name.rpartition("__")
        if last != _NAME or value is not None or path not in owners:
            continue
        if _draws(owners[path]) and not _is_seeded_by_another(path, owners):
            yield path, owners[path]


def _draws(estimator: Any) -> bool:
    kind = type(estimator)
    package = kind.__module__.partition(".")[0]
    if package in _OWN_SEED:
        return False
    if package == "sklearn" and kind.__name__ in _WHEN:
        return any(getattr(estimator, name, None) in values for name, values in _WHEN[kind.__name__].items())
    if package == "sklearn" and kind.__name__ in _TESTS:
        return _TESTS[kind.__name__](estimator)
    return True


def _is_seeded_by_another(path: str, owners: Mapping[str, Any]) -> bool:
    """Whether an ensemble gives its members seeds of its own, so that theirs are never used."""
    while path:
        path = path.rpartition("__")[0]
        kinds = {kind.__name__ for kind in type(owners.get(path)).__mro__}
        if "BaseEnsemble" in kinds or "RANSACRegressor" in kinds:
            return True
    return False
