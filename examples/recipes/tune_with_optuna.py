"""Tune a model with Optuna, and stop trials that fall behind."""

import optuna
from sklearn.callback import FitCallback

import skfm

X, y = skfm.datasets.make_interactions(3000, n_fields=6, random_state=0)
X, X_val, y, y_val = X[:2000], X[2000:], y[:2000], y[2000:]


def objective(trial):
    class Prune(FitCallback):
        """Report the held-out score of each epoch to the trial."""

        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            if context.task_name == "epoch":
                trial.report(fitted_estimator.validation_scores_[-1], context.task_id)
                if trial.should_prune():
                    raise optuna.TrialPruned

    model = skfm.DeepFMClassifier(
        alpha_factors=trial.suggest_float("alpha_factors", 0.001, 0.1, log=True),
        learning_rate=trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
        random_state=0,
    )
    model.set_callbacks(Prune()).fit(X, y, X_val=X_val, y_val=y_val)
    return max(model.validation_scores_)


study = optuna.create_study(
    direction="maximize",
    sampler=optuna.samplers.TPESampler(seed=0),
    pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
)
study.optimize(objective, n_trials=8)
pruned = sum(trial.state.name == "PRUNED" for trial in study.trials)
print(f"log loss {-study.best_value:.3f} with {study.best_params}, {pruned} pruned")
