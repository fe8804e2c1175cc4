"""RewardSnapshot: the learned reward as plain arrays and pure functions, for NumPy, torch and jax.numpy alike.

The functions of this module take the array library as `xp`. Inside a jitted function pass the arrays as arguments,
so that a new snapshot does not recompile it::

    fn = jax.jit(functools.partial(vlm_reward, xp=jax.numpy))
    fn(snapshot.net, snapshot.table, states)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mvr_wrappers.arrays import Arrays, group, nested
from mvr_wrappers.errors import ConfigError, NonFiniteError
from mvr_wrappers.relevance_net import RelevanceNet, relevance
from mvr_wrappers.settings import Baseline, Reference, RewardSettings

Array = Any  # an array of whichever library `xp` is

KNOTS = 1_001
CHUNK = 4_096  # states evaluated at once: bounds memory, and 8 MB of activations stay near the cache
GAMMA = 0.99  # of the potential rule where nobody says which


def vlm_reward(net: RelevanceNet, table: Array, states: Array, xp: Any = np) -> Array:
    """Evaluates r_vlm(s) (paper section 4.3) by linear interpolation in the table of `reward_table`.

    Args:
        net: arrays of f, of the library `xp`.
        table: float32 (K,), r_vlm at K equally spaced relevances from -1 to 1.
        states: float32 (..., D).
        xp: numpy, torch or jax.numpy.

    Returns:
        float32 (...).
    """
    last = table.shape[0] - 1
    position = (relevance(net, states, xp) + 1.0) * (0.5 * last)
    # The last knot has no right neighbour: f = 1 is read as the end of the last interval.
    left = xp.clip(xp.floor(position), 0.0, last - 1.0)
    index = xp.asarray(left, dtype=xp.int32)
    low = table[index]
    return low + (position - left) * (table[index + 1] - low)


def reward_table(
    relevances: ArrayLike,
    tau: float,
    *,
    baseline: Baseline = "reference",
    reference: Reference = "set",
    knots: int = KNOTS,
) -> NDArray[np.float32]:
    """Tabulates r_vlm as a function of f alone: mean over reference states s' of log sigma((f - f(s')) / tau).

    The paper draws one random reference state per evaluation (section 4.3); this is its exact expectation. Linear
    interpolation between the knots errs by at most h^2 / (32 tau^2), h = 2 / (knots - 1): 1.3e-5 at tau = 0.1.

    Args:
        relevances: f(s') of every reference state, any shape, not empty.
        tau: temperature, greater than 0.
        baseline: "reference" subtracts the mean of the table over the reference states, so that they earn 0 on average;
            "parity" subtracts log sigma(0), so that a state earns 0 whose relevance equals that of all of them; "none"
            subtracts nothing (paper).
        reference: "none" tabulates f itself, the paper's ablation "without reference": no baseline plays a part.
        knots: K, table entries.

    Returns:
        float32 (K,), values at np.linspace(-1, 1, K).
    """
    references = np.asarray(relevances, np.float64).ravel()
    if references.size == 0:
        raise ConfigError("a reward needs reference states; score at least one clip before building a snapshot")
    grid = np.linspace(-1.0, 1.0, knots)
    if reference == "none":
        return grid.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # `RewardSnapshot.check_finite` says it in words
        # One knot at a time: memory stays that of the references, however many there are.
        values = np.array([-np.logaddexp(0.0, (references - f) / tau).mean() for f in grid])
        if baseline == "reference":
            values -= np.interp(references, grid, values).mean()
        elif baseline == "parity":
            values += np.log(2.0)
        return values.astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class RewardSnapshot:
    """One state of the learned reward, frozen. Safe to hand to other threads, processes and libraries.

    Attributes:
        net: arrays of f, or None before the first update, when every reward is 0.
        table: float32 (K,), r_vlm over f in [-1, 1]; empty before the first update.
        weight: w, multiplied with r_vlm in the shaping term.
        rule: "additive" or "potential", see RewardSettings.
        gamma: discount of the potential rule.
        bound: the additive term is clipped to [-bound, bound]; None does not clip.
        version: snapshots published so far, this one included; 0 before the first.
    """

    net: RelevanceNet | None
    table: NDArray[np.float32]
    weight: float
    rule: str
    gamma: float
    bound: float | None
    version: int

    @classmethod
    def zero(cls, weight: float = 0.1, reward: RewardSettings | None = None) -> RewardSnapshot:
        """Returns what shapes before the first update: zeros, for states of any size."""
        reward = reward or RewardSettings()
        empty = np.zeros(0, np.float32)
        return cls(None, empty, weight, reward.rule, _gamma(reward), reward.bound, version=0)

    @classmethod
    def build(
        cls,
        net: RelevanceNet,
        reference_relevances: ArrayLike,
        *,
        tau: float,
        weight: float,
        reward: RewardSettings,
        version: int,
    ) -> RewardSnapshot:
        """Builds the snapshot of a model and its reference states.

        Args:
            net: float32 arrays of f; copied.
            reference_relevances: f(s') of all reference states *under this net*, any shape.
            tau: temperature of the relevance differences.
            weight: w of the shaping term.
            reward: reference, baseline, rule, gamma and bound.
            version: number of this snapshot, from 1.

        Raises:
            ConfigError: there are no reference states.
            NonFiniteError: the reward would be NaN or infinite somewhere.
        """
        net = RelevanceNet(*(np.array(part, np.float32) for part in net))
        table = reward_table(reference_relevances, tau, baseline=reward.baseline, reference=reward.reference)
        snapshot = cls(net, table, weight, reward.rule, _gamma(reward), reward.bound, version)
        snapshot.check_finite()
        return snapshot

    @property
    def state_dim(self) -> int | None:
        """D, the size of the states it was learned on; None before the first update."""
        return None if self.net is None else len(self.net.mean)

    def check_finite(self) -> None:
        """Makes sure that it shapes every state with a finite number, before any agent learns from it.

        Not done by the constructor: JAX makes snapshots of tracers.

        Raises:
            NonFiniteError: an array holds NaN or infinity, or the weighted term exceeds float32.
        """
        named = {"table": self.table} if self.net is None else {"table": self.table, **self.net._asdict()}
        broken = [name for name, array in named.items() if not np.isfinite(array).all()]
        if broken:
            raise NonFiniteError(
                f"this reward has NaN or infinite values in {', '.join(broken)}: relevance.tau is too small for "
                "float32 (the paper uses 0.1), or relevance was learned on numbers that are too large"
            )
        # Of the two rules the potential one reaches further: w (gamma Phi' - Phi).
        most = self.weight * (1.0 + self.gamma) * float(np.abs(self.table).max(initial=0.0))
        if not most <= float(np.finfo(np.float32).max):
            raise NonFiniteError(
                f"shaping with weight {self.weight} reaches {most:.3g}, past float32; lower the weight"
            )

    def relevance(self, states: Array, xp: Any = np) -> Array:
        """Returns f(s): (N, D) -> float32 (N,); zeros before the first update."""
        return self._evaluate(relevance, (self.net,), states, xp)

    def vlm_reward(self, states: Array, xp: Any = np) -> Array:
        """Returns r_vlm(s), unweighted: (N, D) -> float32 (N,); zeros before the first update."""
        return self._evaluate(vlm_reward, (self.net, self.table), states, xp)

    def shape(
        self,
        states: Array,
        next_states: Array | None = None,
        terminated: Array | None = None,
        xp: Any = np,
    ) -> Array:
        """Returns the term to add to the task reward of each transition.

        Additive (paper section 4.3): clip(w r_vlm(s)). Potential (Ng et al. 1999): w (gamma Phi(s') - Phi(s)) with
        Phi = r_vlm and Phi = 0 in terminal states, which leaves the optimal policy unchanged. It is never clipped,
        since a clipped difference no longer telescopes.

        Args:
            states: (N, D), the states the actions were taken in.
            next_states: (N, D), the states they led to; needed by the potential rule alone.
            terminated: bool (N,), True where `next_states` is terminal (not where it was truncated); None: nowhere.
            xp: numpy, torch (arrays on the CPU) or jax.numpy.

        Returns:
            float32 (N,).

        Raises:
            ConfigError: states of another size, or no `next_states` for the potential rule.
        """
        return self.evaluate(states, next_states, terminated, xp)[0]

    def evaluate(
        self, states: Array, next_states: Array | None = None, terminated: Array | None = None, xp: Any = np
    ) -> tuple[Array, Array]:
        """Returns what `shape` and `vlm_reward` return, for the cost of one."""
        if self.rule == "additive":
            reward = self.vlm_reward(states, xp)
            shaping = self.weight * reward
            return shaping if self.bound is None else xp.clip(shaping, -self.bound, self.bound), reward
        if next_states is None:
            raise ConfigError('the "potential" rule needs the next states: shape(states, next_states, terminated)')
        # One call for both: with few states most of its time goes into reading the weights.
        both = xp.stack([xp.asarray(part, dtype=xp.float32) for part in (states, next_states)])
        before, after = self.vlm_reward(both, xp)
        if terminated is not None:
            after = xp.where(xp.asarray(terminated) != 0, xp.zeros_like(after), after)
        return self.weight * (self.gamma * after - before), before

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Returns everything as named arrays that `numpy.savez` stores without pickling."""
        scalars = {
            "weight": np.array(self.weight),
            "rule": np.array(self.rule),
            "gamma": np.array(self.gamma),
            "bound": np.array(np.inf if self.bound is None else self.bound),
            "version": np.array(self.version),
        }
        net = {} if self.net is None else self.net._asdict()
        return {**scalars, "table": self.table, **nested(net=net)}

    @classmethod
    def from_state_dict(cls, arrays: Arrays) -> RewardSnapshot:
        """Rebuilds the snapshot that `state_dict` described.

        Raises:
            NonFiniteError: see `check_finite`.
        """
        net, bound = group(arrays, "net"), float(arrays["bound"])
        snapshot = cls(
            net=RelevanceNet(**net) if net else None,
            table=arrays["table"],
            weight=float(arrays["weight"]),
            rule=str(arrays["rule"]),
            gamma=float(arrays["gamma"]),
            bound=None if np.isinf(bound) else bound,
            version=int(arrays["version"]),
        )
        snapshot.check_finite()
        return snapshot

    def _evaluate(self, function: Any, arrays: tuple[Any, ...], states: Array, xp: Any) -> Array:
        """Calls `function(*arrays, states, xp)` with arrays of `xp`; in chunks in NumPy."""
        states = xp.asarray(states, dtype=xp.float32)
        if self.net is None:
            return xp.zeros(states.shape[:-1], dtype=xp.float32)
        dim = len(self.net.mean)
        if states.ndim == 0 or states.shape[-1] != dim:
            raise ConfigError(f"this reward was learned on states of {dim} numbers, got states {tuple(states.shape)}")
        if xp is not np:
            return function(*_convert(arrays, xp), states, xp)
        rows = states.reshape(-1, dim)
        out = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), CHUNK):
            out[start : start + CHUNK] = function(*arrays, rows[start : start + CHUNK])
        return out.reshape(states.shape[:-1])


def _gamma(reward: RewardSettings) -> float:
    return GAMMA if reward.gamma is None else reward.gamma


def _convert(arrays: tuple[Any, ...], xp: Any) -> tuple[Any, ...]:
    """Returns the same nest of arrays in the library `xp`."""
    return tuple(
        RelevanceNet(*(xp.asarray(part) for part in item)) if isinstance(item, RelevanceNet) else xp.asarray(item)
        for item in arrays
    )
