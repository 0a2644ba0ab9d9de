"""Exemplar SVM: one linear SVM a target, for many targets at once, in numpy.

Source: Singla et al., "A Simple and Efficient Baseline for Data Attribution on Images" (arXiv 2311.03386). The target
is the one positive, the candidate training images are the negatives of `LinearSVC(class_weight="balanced", C=0.1)`, and
a candidate's score is its decision value. As liblinear does it: squared hinge, L2 penalty, and an intercept that is the
weight of an appended constant feature 1, so that it is penalised too; the features are not scaled.

With D = d + 1, rows x_j of the n candidates and the target s (both with the 1 appended), the weights w [D] minimise

    1/2 |w|² + 1/2 cn sum_j max(0, 1 + w·x_j)² + 1/2 cp max(0, 1 - w·s)²,     cn = C (n + 1) / n,  cp = C (n + 1)

which is quadratic as long as the *active* candidates (w·x_j > -1) stay the same: Newton's method on the active set ends
exactly. Few targets are solved so one by one, in float64 (`_newton`), and so are all where there are more features
than candidates, in the features' precision, each step by conjugate gradients (`_newton_wide`). For many, a few
candidates play the target first ("pilots"); how many candidates are active for them chooses between two ways to solve
targets together, in batches:

- `_FewActive` (features of a large norm: some tens of candidates are active). The weights are
  w = β_0 s - sum_j β_j x_j with β >= 0, and β_j = 0 for all but the active. Each target has a *working set* of
  candidates. Newton's method finds the set's β, from inner products alone. One product with all candidates then shows
  which others are active: the worst of them join the set, members that are not active leave it, and so on until no
  other is active. This is the minimum, in float64.
- `_ManyActive`. The mean of the pilots' Hessians gives a change of variables in which every target's Hessian is near
  the identity (one over *all* candidates would mislead: often only some percent are active). There, in float32,
  conjugate gradients on the whole batch come near, and Newton steps with each target's own Hessian finish; it starts
  from the most similar pilot's and is updated by the rows that changed. What is left of the error is some 1e-3 of the
  scores' spread at worst, mostly 1e-5.

Where liblinear stops before it has converged (it warns; features of a large, uneven scale) this goes on to the minimum.
"""

# ruff: noqa: N803, N806  (capitals as in the formulas above)

import numpy as np

from attribution.errors import UserError

PILOTS = 8  # candidates solved exactly, to choose the way and for the mean Hessian
MAX_ONE_BY_ONE = 12  # up to here, one target after the other is quicker than pilots and a batch
START_SAMPLE = 4  # one in so many gives one target's start
BATCH = 64  # targets a batch at most: its margins and Hessians should stay near the caches
HESSIANS_BYTES = 32 << 20  # and its Hessians below this

ROUNDS = 40  # of `_FewActive`
MAX_ADDED = 16  # candidates that join a working set in a round, at most
SMALL_STEPS = 10  # Newton steps on the working sets in a round
ROUNDING = 1e-4  # w·x_j this little above -1 is not active: it is computed in float32

CG_STEPS = 8  # of `_ManyActive`: nonlinear conjugate gradients before the Newton steps
NEWTON_STEPS = 30
NEWTON_TOLERANCE = 3e-3  # done after a Newton step that changes the scores by less than this part of their spread,
CG_TOLERANCE = 5e-4  # or a step of conjugate gradients by less than this: they converge more slowly
TINY = np.float32(1e-30)  # instead of dividing by zero

WIDE_TOLERANCE = 0.003  # of `_newton_wide`: the part of the gradient that a step leaves; with .01 tau was .9997


def solve(candidates, targets, C=0.1):
    """Weights w float32 [m, d] and intercepts b float32 [m] for candidates [n, d] and targets [m, d].

    Raises UserError if the shapes do not fit, there is no candidate, or a feature is not finite.
    """
    return ExemplarSVM(candidates, C).solve(targets)


def scores(candidates, targets, C=0.1):
    """Decision values float32 [m, n]: how much each candidate looks like each target; higher is more similar."""
    return ExemplarSVM(candidates, C).scores(targets)


class ExemplarSVM:
    """The SVMs over one set of candidates, float [n, d]. Keep it to solve for more targets: the pilots are reused."""

    def __init__(self, candidates, C=0.1):
        self.wide = np.ndim(candidates) == 2 and len(candidates) <= np.shape(candidates)[1]
        short = self.wide and getattr(candidates, "dtype", None) == np.float32
        self.x = _append_intercept(candidates, "candidates", np.float32 if short else np.float64)
        if not len(self.x):
            raise UserError("An exemplar SVM needs at least one candidate training image: choose another class.")
        if not (np.isfinite(C) and C > 0):
            raise UserError(f"An exemplar SVM needs a positive C, not {C}.")
        n = len(self.x)
        self.negative, self.positive = C * (n + 1) / n, C * (n + 1)
        self._prepared = None

    def solve(self, targets):
        """Weights w float32 [m, d] and intercepts b float32 [m] for targets [m, d]."""
        w = self._weights(targets).astype(np.float32)
        return w[:, :-1], w[:, -1]

    def scores(self, targets):
        """Decision values float32 [m, n] of the candidates for targets [m, d]."""
        w = self._weights(targets)
        precision = self.x.dtype if len(w) <= MAX_ONE_BY_ONE or self.wide else np.float32
        return (w.astype(precision) @ self.x.astype(precision, copy=False).T).astype(np.float32)

    def _weights(self, targets):
        """Weights float64 [m, d + 1], the intercept last."""
        s = _append_intercept(targets, "targets", self.x.dtype)
        if s.shape[1] != self.x.shape[1]:
            raise UserError(
                f"The targets have {s.shape[1] - 1} features and the candidates {self.x.shape[1] - 1}: "
                "use the same features for both."
            )
        if self.wide or len(s) <= MAX_ONE_BY_ONE:
            one = _newton_wide if self.wide else _newton
            return np.array([one(self.x, row, self.negative, self.positive) for row in s]).reshape(s.shape)
        if self._prepared is None:
            self._prepared = _choose_solver(self.x, self.negative, self.positive)
        D = s.shape[1]
        size = max(1, min(BATCH, HESSIANS_BYTES // (4 * D * D)))
        w = np.concatenate([self._prepared.solve(s[i : i + size]) for i in range(0, len(s), size)])
        for i in np.flatnonzero(~np.isfinite(w).all(axis=1)):
            w[i] = _newton(self.x, s[i], self.negative, self.positive)
        return w


def _choose_solver(x, cn, cp):
    """The way to solve batches of targets among candidates x [n, D] that suits the pilots' number of active ones."""
    n, D = x.shape
    pilots = np.random.default_rng(0).choice(n, min(PILOTS, n), replace=False)
    active = np.empty((len(pilots), n), bool)
    for p, j in enumerate(pilots):
        others = x.copy()
        others[j] = 0  # as good as absent: its margin does not depend on w
        active[p] = x @ _newton(others, x[j], cn, cp) > -1
        active[p, j] = False
    a = np.median(active.sum(axis=1))
    few = a**3 < 8 * D**2  # a Newton step costs about a³ the one way and D² the other; 8 as measured
    return _FewActive(x, cn, cp) if few else _ManyActive(x, cn, cp, active)


def _append_intercept(a, what, dtype=np.float64):
    """The features [images, d] as [images, d + 1], the 1 appended."""
    a = np.asarray(a)
    if a.ndim != 2:
        raise UserError(f"The {what} of an exemplar SVM must be a table [images, features], not of shape {a.shape}.")
    if not np.isfinite(a).all():
        raise UserError(f"The {what} of an exemplar SVM hold features that are not finite: compute them again.")
    x = np.ones((len(a), a.shape[1] + 1), dtype)
    x[:, :-1] = a
    return x


def _newton(x, s, cn, cp, close=1e-4):
    """The solution w float64 [D] for one target s [D] among candidates x [n, D]: Newton on the active set."""
    n, D = x.shape
    known, h = np.zeros(n, bool), np.zeros((D, D))  # h = sum of x_j x_j' over the known

    def minimiser(h, hinge):
        """Of the quadratic with this h and, if `hinge`, the target; h ends in the sum of x_j, for x ends in 1."""
        u, v = np.linalg.solve(np.eye(D) + cn * h, np.stack([s, -cn * h[:, -1]], axis=1)).T
        return v + u * (hinge * cp * (1 - s @ v) / (1 + cp * (s @ u)))  # the target by Sherman-Morrison

    def update(active):
        nonlocal known, h
        more, fewer = x[active & ~known], x[known & ~active]
        known, h = active, h + more.T @ more - fewer.T @ fewer
        return h

    # Started from nothing, Newton wastes its steps on dropping candidates that a first guess tells apart
    if n >= START_SAMPLE * 4 * D:
        w = _newton(x[::START_SAMPLE], s, START_SAMPLE * cn, cp, close=0.25)
    else:
        w = minimiser(x.T @ x, True)
        active = np.zeros(n, bool)
        active[np.argpartition(-(x @ w), min(n // 10, n - 1))[: n // 10]] = True
        w = minimiser(update(active), True)
    return _descend(x, s, w, lambda w, f, active, hinge: minimiser(update(active), hinge), cn, cp, close)


def _newton_wide(x, s, cn, cp):
    """As `_newton`, float32, for features that are more than candidates: nothing of [D, D] or [n, n] is made. The
    steps are found by conjugate gradients, which needs the active rows alone."""
    # The first guess is the solution among weights made of the target, the candidates' mean and the intercept
    basis = np.linalg.qr(np.stack([s[:-1], x[:, :-1].mean(axis=0)], axis=1))[0]
    guess = _newton(
        _append_intercept(x[:, :-1] @ basis, "candidates"),
        _append_intercept(s[None, :-1] @ basis, "targets")[0],
        cn,
        cp,
    )
    w, cn, cp = np.append(basis @ guess[:-1], guess[-1]).astype(np.float32), np.float32(cn), np.float32(cp)

    def minimiser(w, f, active, hinge):
        rows, pull = x[active], np.float32(hinge) * cp
        gradient = w + cn * ((1 + f[active]) @ rows) - pull * (1 - s @ w) * s
        return (
            w
            + _solve_near_identity(
                lambda p: p + cn * ((p @ rows.T) @ rows), s[None], pull[None], -gradient[None], WIDE_TOLERANCE
            )[0]
        )

    return _descend(x, s, w, minimiser, cn, cp, 1e-4)


def _descend(x, s, w, minimiser, cn, cp, close):
    """Newton's method from w: each step goes to, or towards, the minimiser(w, x @ w, active, hinge) of the quadratic
    with these candidates active and, if `hinge`, the target."""
    f, state, step = x @ w, None, 0
    for _ in range(200):
        before, state = state, (f > -1, s @ w < 1)
        if before and step == 1 and state[1] == before[1] and np.array_equal(state[0], before[0]):
            break
        new = minimiser(w, f, *state)
        g = x @ new - f
        step = _line_search(w, f, s, new - w, g, cn, cp)
        w, f = w + step * (new - w), f + step * g
        if step == 1 and g.std() <= close * f.std():
            break
    return w


def _line_search(w, f, s, dw, g, cn, cp):
    """The step in (0, 1] along dw that minimises the objective, by bracketing: its slope only rises."""
    sw, sd, wd, dd = s @ w, s @ dw, w @ dw, dw @ dw

    def slope(a):
        return wd + a * dd + cn * (np.maximum(0, 1 + f + a * g) @ g) - cp * max(0.0, 1 - sw - a * sd) * sd

    start = slope(0.0)
    lo, hi, at_lo, at_hi = 0.0, 1.0, start, slope(1.0)
    if start >= 0 or at_hi <= 1e-9 * -start:
        return 1
    for _ in range(40):
        a = lo + (hi - lo) * min(0.95, max(0.05, at_lo / (at_lo - at_hi)))
        at = slope(a)
        if abs(at) < 1e-3 * -start:
            break
        lo, at_lo, hi, at_hi = (a, at, hi, at_hi) if at < 0 else (lo, at_lo, a, at)
    return a


class _FewActive:
    """Many targets with few active candidates each, float64, on working sets.

    The members of a working set are numbers of candidates; n stands for none of them and n + 1 for the target.
    """

    def __init__(self, x, cn, cp):
        self.n, D = x.shape
        self.cn, self.cp = cn, cp
        self.rows = np.concatenate([-x, np.zeros((1, D))])
        self.columns = np.ascontiguousarray(x.T, np.float32)
        self.groups = min(MAX_ADDED, self.n)
        self.width = self.n + 2 + -(self.n + 2) % self.groups  # of n + 2 members, in whole groups
        self.start = self._all_active(x)

    def _all_active(self, x):
        """Function of targets s [B, D]: the solutions if all candidates were active, to start from."""
        inverse = np.linalg.inv(np.eye(x.shape[1]) + self.cn * (x.T @ x))
        pull = -self.cn * (inverse @ x.sum(axis=0))

        def start(s):
            u = s @ inverse  # the target by Sherman-Morrison
            return pull + u * (self.cp * (1 - s @ pull) / (1 + self.cp * np.vecdot(s, u)))[:, None]

        return start

    def solve(self, s):
        """Weights float64 [B, D] for targets s [B, D], which end in 1; NaN where the rounds do not suffice."""
        w = self.start(s)
        out = np.full_like(w, np.nan)
        todo = np.arange(len(s))
        members, z, beta = np.full((len(s), 1), self.n + 1), s[:, None], np.zeros((len(s), 1))
        new = self._violators(w, members)
        for _ in range(ROUNDS):
            members = np.concatenate([members, new], axis=1)
            z = np.concatenate([z, self.rows[new]], axis=1)
            beta = np.concatenate([beta, np.zeros(new.shape)], axis=1)
            c = np.where(members == self.n + 1, self.cp, self.cn)
            beta, solved = _newton_on_products(z @ z.mT, c, members != self.n, beta)
            w = np.matmul(beta[:, None], z)[:, 0]
            new = self._violators(w, members)
            done = solved & (new == self.n).all(axis=1)
            out[todo[done]] = w[done]
            if done.all():
                break
            todo, members, z, beta, new = (a[~done] for a in (todo, members, z, beta, new))
            # Members that are not active leave, but for the target, and some that fill up the shorter sets
            stay = _index_true_first((beta > 0) | (members == self.n + 1))
            members, z, beta = members[stay], z[stay], beta[stay]
        return out

    def _violators(self, w, members):
        """Active candidates outside the working sets [B, groups], the worst of each group; n where it has none.

        A candidate's group is its number modulo the number of groups: quicker than to find the worst of all.
        """
        b = np.arange(len(w))[:, None]
        margins = np.empty((len(w), self.width), np.float32)
        np.matmul(w.astype(np.float32), self.columns, out=margins[:, : self.n])
        margins[:, self.n :] = -np.inf
        margins[b, members] = -np.inf
        worst = margins.reshape(len(w), -1, self.groups).argmax(axis=1) * self.groups + np.arange(self.groups)
        return np.where(margins[b, worst] > -1 + ROUNDING, worst, self.n)


def _newton_on_products(K, c, real, beta):
    """Minimise over w = sum_i β_i z_i: 1/2 |w|² + 1/2 sum_i c_i max(0, q_i)² with q_i = 1 - w·z_i, by inner products.

    K [B, m, m] are those of the rows z_i, c [B, m] their weights; rows that are not `real` [B, m] do not count. Starts
    from beta [B, m]. Returns the β of the minimum, which are c_i max(0, q_i), and whether it was reached [B].
    """
    out, reached, todo = beta.copy(), np.zeros(len(K), bool), np.arange(len(K))
    q = real - np.vecdot(K, beta[:, None])
    for _ in range(SMALL_STEPS):
        # The β at the minimum if the active rows stay the same: (1/c + K) β = 1 among them, and 0 for the others
        active = q > 0
        b, i = at = _index_true_first(active)
        on = active[at]
        h = K[b[:, :, None], i[:, :, None], i[:, None]]
        h *= on[:, :, None] & on[:, None]
        np.einsum("bii->bi", h)[...] += 1 / c[at]
        new = np.zeros_like(beta)
        new[at] = np.linalg.solve(h, on[:, :, None])[:, :, 0]
        d = new - beta
        u = np.vecdot(K, d[:, None])  # q falls by this
        start = np.vecdot(u, beta - c * np.maximum(0, q))  # slope of the objective
        end = np.vecdot(u, new - c * np.maximum(0, q - u))
        far = end > -0.1 * start  # a whole step goes too far: cut it to where the slope should be zero
        step = np.where(far, start / np.where(far, start - end, 1), 1)[:, None]
        beta = beta + step * d
        q = q - step * u
        # Done if nothing changes any more but for rounding, or a whole step was right about what is active
        done = (np.abs(u) < 1e-6).all(axis=1) | ~far & ((q > 0) == active).all(axis=1)
        out[todo], reached[todo] = beta, done
        if done.all():
            break
        if done.any():
            K, c, todo, beta, q = (a[~done] for a in (K, c, todo, beta, q))
    return out, reached


def _index_true_first(mask):
    """Index (rows [B, 1], places [B, a]) of each row's true ones, then of others: a is the most true ones of a row."""
    return np.arange(len(mask))[:, None], np.argsort(~mask, axis=1, kind="stable")[:, : mask.sum(axis=1).max()]


class _ManyActive:
    """Many targets at once, float32, in variables in which the mean Hessian of the pilots is the identity.

    A margin is stored as v = sqrt(cn) (1 + w·x): a candidate is active where v > 0, and its loss is v²/2.
    """

    def __init__(self, x, cn, cp, active):
        """For candidates x [n, D]; active [pilots, n] are those that were for each pilot."""
        n, D = x.shape
        self.cp = cp
        hessians = [np.eye(D) + cn * (rows.T @ rows) for rows in (x[a] for a in active)]
        self.back = np.linalg.inv(np.linalg.cholesky(np.mean(hessians, axis=0))).T  # w = back @ variables
        self.ridge = (self.back.T @ self.back).astype(np.float32)  # what |w|² becomes
        self.rows = (np.sqrt(cn) * (x @ self.back)).astype(np.float32)
        self.columns = np.ascontiguousarray(self.rows.T)
        self.one = np.float32(np.sqrt(cn))
        # Hessians to start from: of nothing active, of each pilot, of everything
        self.known = np.concatenate([np.zeros((1, n), bool), active, np.ones((1, n), bool)])
        self.known_hessians = np.stack([self.ridge + rows.T @ rows for rows in (self.rows[a] for a in self.known)])
        self.mean_pull = -self.one * np.mean([self.rows[a].sum(0) for a in active], axis=0)

    def solve(self, s):
        """Weights float64 [B, D] for targets s [B, D], which end in 1; NaN where the steps do not suffice."""
        s = (s @ self.back).astype(np.float32)
        cp = np.float32(self.cp)
        shrink = cp / (1 + cp * np.vecdot(s, s))
        w = self.mean_pull + s * (shrink * (1 - s @ self.mean_pull))[:, None]
        v = w @ self.columns
        v += self.one
        far = self._conjugate_gradients(s, w, v, cp)
        if far.any():
            w[far] = self._newton_steps(s[far], w[far], v[far], cp)
        return w.astype(np.float64) @ self.back.T

    def _gradient(self, s, w, r, cp):
        """[B, D] at w, where r [B, n] are the positive parts of the margins."""
        short = np.maximum(0, 1 - np.vecdot(s, w))
        return w @ self.ridge + r @ self.rows - (cp * short)[:, None] * s

    def _slope(self, s, w, d, u, cp):
        """Slope [B] of the objective at w + a d: a function of a and of the positive parts there; u = d @ columns."""
        ridged = d @ self.ridge
        rest, curve, sw, own = np.vecdot(w, ridged), np.vecdot(d, ridged), np.vecdot(s, w), np.vecdot(s, d)
        return lambda a, r: rest + a * curve + np.vecdot(r, u) - cp * np.maximum(0, 1 - sw - a * own) * own

    def _spread(self, v):
        """Standard deviation [B] of each target's margins; more than rounding where all candidates are the same."""
        return np.maximum(v.std(axis=1), 1e-5 * self.one)

    def _conjugate_gradients(self, s, w, v, cp):
        """Improve w [B, D] and its margins v [B, n] in place by Polak-Ribière steps; returns who is still far off [B].

        The mean Hessian is the identity, so only the target itself is left to precondition.
        """
        shrink = cp / (1 + cp * np.vecdot(s, s))
        spread = self._spread(v)
        r, u, ahead = np.empty_like(v), np.empty_like(v), np.empty_like(v)
        a = np.ones(len(s), np.float32)
        direction, g_before, gz = np.zeros_like(w), np.zeros_like(w), np.full_like(a, np.inf)
        for _ in range(CG_STEPS):
            np.maximum(v, 0, out=r)
            g = self._gradient(s, w, r, cp)
            z = g - (shrink * np.vecdot(s, g))[:, None] * s
            beta = np.maximum(0, np.vecdot(g - g_before, z) / np.maximum(gz, TINY))
            direction = beta[:, None] * direction - z
            direction = np.where((np.vecdot(direction, g) < 0)[:, None], direction, -z)
            g_before, gz = g, np.vecdot(g, z)
            np.matmul(direction, self.columns, out=u)
            # The slope along the direction rises: two secant steps from the last step's length find its zero
            slope = self._slope(s, w, direction, u, cp)
            last_a, last = 0, np.vecdot(g, direction)
            for _ in range(2):
                np.multiply(u, a[:, None], out=ahead)
                ahead += v
                now = slope(a, np.maximum(ahead, 0, out=ahead))
                rise = (now - last) / np.where(a == last_a, 1, a - last_a)
                next_a = np.where(rise > 0, np.maximum(a - now / np.where(rise > 0, rise, 1), a / 10), a)
                last_a, last, a = a, now, next_a
            w += a[:, None] * direction
            u *= a[:, None]
            v += u
            far = ~(np.sqrt(np.vecdot(u, u) / u.shape[1]) < CG_TOLERANCE * spread)
            if far.mean() < 0.1:
                break
        return far

    def _newton_steps(self, s, w, v, cp):
        """The solutions [B, D] from w [B, D] and its margins v [B, n]; NaN where the steps do not suffice."""
        out = w.copy()
        todo = np.arange(len(w))
        active = v > 0
        H, active_of = self._start_hessians(active)
        spread = self._spread(v)
        r = np.maximum(v, 0)
        for _ in range(NEWTON_STEPS):
            for h, now, before in zip(H, active, active_of):
                self._update(h, now, before)
            g = self._gradient(s, w, r, cp)
            d = _solve_near_identity(_batched_product(H), s, cp * (np.vecdot(s, w) < 1), -g)
            u = d @ self.columns
            v += u
            np.maximum(v, 0, out=r)
            start, end = np.vecdot(g, d), self._slope(s, w, d, u, cp)(1, r)
            close = np.sqrt(np.vecdot(u, u) / u.shape[1]) < NEWTON_TOLERANCE * spread
            far = end > -0.1 * start
            if far.any():  # a whole step goes too far: cut it to where the slope should be zero
                back = np.where(far, start / np.where(far, start - end, 1) - 1, 0)[:, None]
                v[far] += back[far] * u[far]
                r[far] = np.maximum(v[far], 0)
                d *= 1 + back
            w = w + d
            out[todo] = w
            go = ~close
            if not go.any():
                return out
            active, active_of = r > 0, active
            if not go.all():
                keep = (todo, s, w, v, r, H, spread, active, active_of)
                todo, s, w, v, r, H, spread, active, active_of = (a[go] for a in keep)
        out[todo] = np.nan  # not seen on any features so far; left to the one-by-one solver
        return out

    def _start_hessians(self, active):
        """Of each target the nearest known Hessian [B, D, D], and which candidates were active in it [B, n]."""
        known, mine = self.known.astype(np.float32), active.astype(np.float32)
        apart = known.sum(1) - 2 * (mine @ known.T)  # but for what all share: how many active they have
        nearest = apart.argmin(axis=1)
        return self.known_hessians[nearest], self.known[nearest]

    def _update(self, h, active, before):
        """Make the Hessian h [D, D] of the candidates active before that of those active now, in place."""
        changed = np.flatnonzero(active ^ before)
        rows, added = self.rows.take(changed, axis=0), active[changed]
        if len(rows) < 64:  # below, one general product is quicker than two symmetric ones
            h += rows.T @ (rows * np.where(added, np.float32(1), np.float32(-1))[:, None])
        else:
            more, fewer = rows[added], rows[~added]
            h += more.T @ more
            h -= fewer.T @ fewer


def _batched_product(H):
    return lambda p: np.matmul(H, p[:, :, None])[:, :, 0]


def _solve_near_identity(product, s, hinge, b, tolerance=0.03, steps=60):
    """x [B, D] with (H + hinge s s') x = b: conjugate gradients on all at once, quick for H near the identity.

    product(p [B, D]) is H p; s [B, D], hinge [B], b [B, D].
    """
    shrink = hinge / (1 + hinge * np.vecdot(s, s))
    x, rest = np.zeros_like(b), b
    z = rest - (shrink * np.vecdot(s, rest))[:, None] * s
    p, rz = z, np.vecdot(rest, z)
    first = rz
    for _ in range(steps):
        Hp = product(p) + (hinge * np.vecdot(s, p))[:, None] * s
        a = (rz / np.maximum(np.vecdot(p, Hp), TINY))[:, None]
        x = x + a * p
        rest = rest - a * Hp
        z = rest - (shrink * np.vecdot(s, rest))[:, None] * s
        before, rz = rz, np.vecdot(rest, z)
        if (rz <= tolerance**2 * first).all():
            break
        p = z + (rz / np.maximum(before, TINY))[:, None] * p
    return x
