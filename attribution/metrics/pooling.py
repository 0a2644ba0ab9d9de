"""Several opinions made one, weighed by what can be measured without knowing the truth."""

import numpy as np

LEAST = 1e-4  # of a probability, before its logarithm is taken
FIT_IMAGES = 20_000  # that the weights of a pool are fitted on, taken evenly
FIRST_SHARE = 0.1  # of the images: those that agreement is measured on
MOST_LOADING = 0.95  # of a judge, so that none counts without the others
ROUNDS = 200  # at most, of the factor analysis


def log_linear_pool(probabilities: list[np.ndarray], labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The product of several predictions, each to a power of its own, normalised (Genest and Zidek, 1986, section 3).

    probabilities  of models that did not see the images, [n, classes] each; rows of NaN say nothing
    labels         int [n]: the powers, not below 0, are those under which these are likeliest; that some are wrong
                   takes from all powers alike
    Returns log-probabilities float64 [n, classes] and the powers, float64 [predictions].

    >>> sure, blind = np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1]]), np.full((3, 2), 0.5)
    >>> log_linear_pool([sure, blind], np.array([0, 1, 1]))[0].argmax(1).tolist()
    [0, 1, 0]
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax, softmax

    n_classes = probabilities[0].shape[1]
    logs = [np.log(np.clip(np.nan_to_num(one, nan=1 / n_classes), LEAST, 1)) for one in probabilities]
    some = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), FIT_IMAGES)).astype(int))
    fitted, given = np.stack([one[some] for one in logs]), labels[some]
    rows = np.arange(len(some))

    def loss(powers: np.ndarray) -> tuple[float, np.ndarray]:
        pooled = np.tensordot(powers, fitted, 1)
        expected = (softmax(pooled, axis=1) * fitted).sum(2).mean(1)
        return -log_softmax(pooled, axis=1)[rows, given].mean(), expected - fitted[:, rows, given].mean(1)

    start = np.full(len(logs), 1 / len(logs))
    powers = minimize(loss, start, jac=True, bounds=[(0, None)] * len(logs)).x
    return log_softmax(sum(power * one for power, one in zip(powers, logs)), axis=1), powers


def normal_scores(scores: np.ndarray) -> np.ndarray:
    """Scores by their order alone, as a normal distribution would have them: float64 [n]; ties share theirs.

    >>> normal_scores(np.array([3, 1, 2])).round(2).tolist()
    [0.97, -0.97, 0.0]
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    return ndtri((rankdata(scores) - 0.5) / len(scores))


def agreement_weights(scores: np.ndarray) -> np.ndarray:
    """How much each of several judges is to weigh, by how far it agrees with the others: float64 [judges], sum 1.

    scores: float [judges, n], higher is more suspicious. Judges that err independently agree only as far as each is
    right: how often two share their first `FIRST_SHARE`, beyond chance, is the product of what each is worth (Parisi et
    al., arXiv 1303.3257, for votes). That is read off as the loadings a of one factor, and a judge weighs a / (1 - a²),
    as the factor's scores have it. Judges that are alike are one judge: pool them before. Of one or two judges nothing
    can be told, and they weigh the same; so it is where none agrees with another.

    >>> right = np.arange(100.0)
    >>> agreement_weights(np.stack([right, right, -right])).round(2).tolist()
    [0.5, 0.5, 0.0]
    """
    judges, n = scores.shape
    if judges < 3:
        return np.full(judges, 1 / judges)
    count = max(1, round(FIRST_SHARE * n))
    first = np.zeros((judges, n))
    for number, one in enumerate(scores):
        first[number, np.argsort(-one, kind="stable")[:count]] = 1
    share = count / n
    agreement = (first @ first.T / n - share**2) / (share - share**2)
    loadings = _one_factor(agreement)
    weights = loadings / (1 - loadings**2)
    return weights / weights.sum() if weights.sum() > 0 else np.full(judges, 1 / judges)


def _one_factor(correlation: np.ndarray) -> np.ndarray:
    """The loadings of one factor, from 0 to `MOST_LOADING`, float [judges], by principal factors: the diagonal, which
    says nothing of agreement, is replaced by what the factor explains until that no longer changes."""
    inner = np.eye(len(correlation), dtype=bool)
    explained = np.clip(np.where(inner, 0, correlation).max(1), 0, MOST_LOADING**2)
    loadings = np.sqrt(explained)
    for _ in range(ROUNDS):
        values, vectors = np.linalg.eigh(np.where(inner, explained, correlation))
        main = vectors[:, -1] * np.sign(vectors[:, -1].sum())
        loadings = np.clip(main * np.sqrt(max(values[-1], 0)), 0, MOST_LOADING)
        before, explained = explained, loadings**2
        if np.abs(explained - before).max() < 1e-9:
            break
    return loadings
