"""TQC of mvr_agents as users of Stable-Baselines3 know it: learn, predict, save, load, callbacks, bad input."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("stable_baselines3")

import jax
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from mvr_agents import TQC
from mvr_wrappers.errors import ConfigError, EnvError, NonFiniteError
from mvr_wrappers.extras import install_command
from tests.support.known import of_type, present

SMALL: dict[str, Any] = {"net_arch": [8], "n_quantiles": 4}


class Drift(gym.Env[Any, Any]):
    """A point is pushed; its episodes terminate far out and are truncated after 12 steps."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = spaces.Box(np.array([-1.0, 0.0], np.float32), np.array([3.0, 2.0], np.float32))

    def __init__(self, bad_step: int | None = None, bad_reward: int | None = None):
        self.bad_step, self.bad_reward, self.total = bad_step, bad_reward, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.position, self.steps = self.np_random.normal(size=2), 0
        return self.position.copy(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.position += 0.2 * (action - 1.0) + 0.05 * self.np_random.normal(size=2)
        self.steps, self.total = self.steps + 1, self.total + 1
        observation = self.position * (np.nan if self.total == self.bad_step else 1.0)
        reward = np.inf if self.total == self.bad_reward else -float(np.square(self.position).sum())
        info = {"shaping": 0.125, "task_reward": reward - 0.125}
        return observation.copy(), reward, bool(np.abs(self.position).max() > 3), self.steps == 12, info


def envs(n: int = 1, **arguments) -> DummyVecEnv:
    return DummyVecEnv([lambda: Monitor(Drift(**arguments))] * n)


def agent(env=None, policy_kwargs: dict[str, Any] | None = None, **arguments) -> TQC:
    arguments = {"learning_starts": 20, "batch_size": 8, "buffer_size": 400, "seed": 3, **arguments}
    return TQC("MlpPolicy", env or envs(), policy_kwargs={**SMALL, **(policy_kwargs or {})}, **arguments)


def parameters(model: TQC) -> dict[str, np.ndarray]:
    return {name: part.numpy() for name, part in model.policy.state_dict().items()}


def assert_same(first: TQC, second: TQC) -> None:
    ours, theirs = parameters(first), parameters(second)
    assert ours.keys() == theirs.keys()
    for name, part in ours.items():
        np.testing.assert_array_equal(part, theirs[name], err_msg=name)


def test_what_is_stored_is_what_happened():
    """Observations, actions and outcomes of three envs, across terminations and time limits, against a plain record."""
    env = envs(3)
    model = agent(env, learning_starts=10, train_freq=4)
    record: list[dict[str, Any]] = []

    class Recorder(BaseCallback):
        def _on_step(self) -> bool:
            names = ("new_obs", "rewards", "dones", "infos", "buffer_actions", "actions")
            said = {"last": self.model._last_obs} | {name: self.locals[name] for name in names}
            record.append(copy.deepcopy(said))
            return True

    model.learn(120, Recorder())
    buffer = present(model.replay_buffer)
    buffer.flush()
    storage = [np.asarray(part) for part in buffer.storage]
    observations, following, actions, task_rewards, shaping, terminated, ended = storage
    assert len(record) == 40 == buffer.size()
    kinds = set()
    for row, step in enumerate(record):
        np.testing.assert_array_equal(observations[row], step["last"].astype(np.float32))
        np.testing.assert_allclose(actions[row], step["buffer_actions"], atol=1e-6)
        np.testing.assert_allclose(
            step["actions"], Drift.action_space.low + (actions[row] + 1) * 2 * [1, 0.5], atol=1e-5
        )
        np.testing.assert_allclose(task_rewards[row] + shaping[row], step["rewards"], atol=1e-5)
        np.testing.assert_array_equal(shaping[row], 0.125)
        np.testing.assert_array_equal(ended[row], step["dones"])
        for i, (done, info) in enumerate(zip(step["dones"], step["infos"], strict=True)):
            last = info["terminal_observation"] if done else step["new_obs"][i]
            np.testing.assert_array_equal(following[row, i], np.asarray(last, np.float32))
            assert terminated[row, i] == (done and not info["TimeLimit.truncated"])
            kinds.add((bool(done), bool(terminated[row, i])))
    assert kinds == {(False, False), (True, False), (True, True)}


def test_each_observation_crosses_once(monkeypatch):
    model = agent(envs(2), learning_starts=0, train_freq=4)
    crossed: list[np.ndarray] = []
    buffer = present(model.replay_buffer)
    put = buffer.put
    monkeypatch.setattr(buffer, "put", lambda rows: (crossed.append(np.array(rows)), put(rows))[1])
    model.learn(40)
    steps, episodes = 20, int(np.asarray(buffer.storage.ended[:20]).any(axis=1).sum())
    assert len(crossed) == 1 + steps + episodes  # the first, each that followed, and where episodes ended their finals


@pytest.mark.parametrize(
    "options",
    [{}, {"use_sde": True, "sde_sample_freq": 3}, {"n_steps": 3, "train_freq": 3}, {"noise_repeat": 4}],
)
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path, options):
    options = {"learning_starts": 25, "policy_kwargs": {"normalize_observations": True}, **options}
    straight = agent(envs(2), **options).learn(90)
    model = agent(envs(2), **options).learn(60)
    model.save(tmp_path / "model.zip")
    model.save_replay_buffer(tmp_path / "replay.pkl")
    resumed = TQC.load(tmp_path / "model.zip", env=model.env, force_reset=False)
    resumed.load_replay_buffer(tmp_path / "replay.pkl", truncate_last_traj=False)
    assert_same(resumed, model)
    resumed.learn(30, reset_num_timesteps=False)
    assert resumed.num_timesteps == straight.num_timesteps == 90
    assert_same(resumed, straight)
    buffers = present(resumed.replay_buffer), present(straight.replay_buffer)
    for ours, theirs in zip(*(buffer.storage for buffer in buffers), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_repeated_noise_is_loaded_for_any_number_of_envs(tmp_path):
    model = agent(envs(2), noise_repeat=4).learn(30)
    model.save(tmp_path / "model.zip")
    loaded = TQC.load(tmp_path / "model.zip", env=envs(3))
    assert_same(loaded, model)
    assert loaded.learn(30).noise_repeat == 4


def test_repeated_noise_changes_what_is_explored_and_nothing_else():
    first, same, repeated = (agent(noise_repeat=n).learn(40) for n in (1, 1, 4))
    assert_same(first, same)
    assert first.policy.rollout.held is None  # nothing more is saved than before
    buffers = [present(model.replay_buffer) for model in (first, repeated)]
    for buffer in buffers:
        buffer.flush()
    actions = [np.asarray(buffer.storage.actions[:40]) for buffer in buffers]
    np.testing.assert_array_equal(actions[0][:20], actions[1][:20])  # warm-up, which is uniform
    assert not np.array_equal(actions[0][20:], actions[1][20:])


def test_the_entropy_coefficient_may_have_a_learning_rate_of_its_own():
    fixed, own = (agent(ent_coef_lr=rate, learning_rate=1e-3).learn(24) for rate in (0.0, 1e-2))
    assert float(fixed.policy.train_state.log_ent_coef) == 0.0
    # The steps of Adam are near its learning rate while the gradient's sign stays.
    assert abs(float(own.policy.train_state.log_ent_coef)) == pytest.approx(4 * 1e-2, rel=0.05)


def test_the_seed_decides_everything():
    first, same, other = (agent(seed=seed).learn(40) for seed in (5, 5, 6))
    assert_same(first, same)
    assert not np.array_equal(first.predict(np.ones(2))[0], other.predict(np.ones(2))[0])
    assert agent(seed=None).policy.train_state.key is not None


def test_a_loaded_model_predicts_without_an_env_or_a_buffer(tmp_path):
    model = agent().learn(30)
    model.save(tmp_path / "model")
    loaded = TQC.load(tmp_path / "model")
    observations = np.random.default_rng(0).normal(size=(4, 2))
    np.testing.assert_array_equal(
        loaded.predict(observations, deterministic=True)[0], model.predict(observations, deterministic=True)[0]
    )
    assert present(loaded.replay_buffer)._storage is None  # nothing was allocated
    loaded.set_env(envs())
    assert loaded.learn(10).num_timesteps == 10


def test_parameters_may_be_moved_between_models():
    source, target = agent(seed=1), agent(seed=2)
    parameters_of_source: Any = source.get_parameters()  # SB3 types what it takes by what `torch.load` returns
    target.set_parameters(parameters_of_source)
    assert_same(source, target)


def test_parameters_are_found_under_their_former_names():
    source, target = (agent(policy_kwargs={"normalize_observations": True}, seed=seed).learn(30) for seed in (1, 2))
    former = {name.replace("train_state.", "learner."): part for name, part in source.policy.state_dict().items()}
    former["rollout.statistics.count"] = former["rollout.statistics.count"].float()
    target.policy.load_state_dict(former)
    assert_same(source, target)


def test_callbacks_logs_and_evaluation(tmp_path):
    model = agent(envs(2), gradient_steps=2, learning_rate=lambda progress: 1e-3 * progress, use_sde=True)
    model.set_logger(configure(str(tmp_path), ["csv", "tensorboard"]))
    callback = EvalCallback(envs(), eval_freq=15, n_eval_episodes=2, verbose=0, best_model_save_path=str(tmp_path))
    model.learn(60, callback, log_interval=1)
    model.logger.close()
    rows = np.genfromtxt(tmp_path / "progress.csv", delimiter=",", names=True)
    for name in ("trainactor_loss", "traincritic_loss", "trainent_coef", "trainent_coef_loss", "trainstd"):
        assert np.isfinite(rows[name]).any(), name
    assert np.nanmax(rows["trainn_updates"]) == 38  # two after each of the vector steps 11 to 29
    assert np.nanmin(rows["trainlearning_rate"]) == pytest.approx(1e-3 * 2 / 60, rel=1e-5)
    assert (tmp_path / "best_model.zip").exists() and list(tmp_path.glob("events.out.tfevents*"))
    mean, _ = evaluate_policy(model, envs(), n_eval_episodes=2)
    assert np.isfinite(mean)


@pytest.mark.filterwarnings("ignore:rich is experimental")
def test_progress_bar():
    pytest.importorskip("tqdm")
    pytest.importorskip("rich")
    agent().learn(12, progress_bar=True)


def test_options_for_high_update_ratios():
    words = {"layer_norm": True, "dropout_rate": 0.1, "matmul_dtype": "bfloat16", "activation_fn": "silu"}
    model = agent(policy_kwargs=words, gradient_steps=3).learn(30)
    assert model._n_updates == 30
    assert all(np.isfinite(part).all() for part in parameters(model).values())


def test_vec_normalize_stores_what_the_env_gave():
    env: Any = VecNormalize(envs(2), clip_obs=1.0)
    model = agent(env).learn(60)
    buffer = present(model.replay_buffer)
    buffer.flush()
    stored = np.asarray(buffer.storage.observations[:30])
    assert np.abs(stored).max() > 1.0
    scales: Any = model._scales()
    np.testing.assert_allclose(scales.mean, env.obs_rms.mean, rtol=1e-5)
    np.testing.assert_allclose(scales.reward_deviation, np.sqrt(env.ret_rms.var + env.epsilon), rtol=1e-5)


def test_action_noise_reaches_env_and_buffer():
    noise = NormalActionNoise(np.full(2, 5.0), np.zeros(2))  # pushes every action to the bound
    model = agent(envs(2), learning_starts=0, action_noise=noise).learn(10)
    buffer = present(model.replay_buffer)
    buffer.flush()
    np.testing.assert_array_equal(buffer.storage.actions[:5], 1.0)


def test_learning_stops_at_a_bad_batch_and_keeps_the_networks():
    model = agent(learning_starts=20).learn(40)
    buffer = present(model.replay_buffer)
    buffer.flush()
    buffer.storage = buffer.storage._replace(shaping=jax.numpy.full_like(buffer.storage.shaping, np.nan))
    before, updates = parameters(model), model._n_updates
    with pytest.raises(NonFiniteError, match=r"rewards of the batch for update 21, drawn at env step 41"):
        model.learn(5, reset_num_timesteps=False)
    assert model._n_updates == updates == 20
    after = parameters(model)
    assert all(np.array_equal(before[name], after[name]) for name in before if not name.endswith("key"))


def test_diverging_losses_are_named():
    model = agent(learning_rate=1e30)
    with pytest.raises(NonFiniteError, match="the networks have diverged"):
        model.learn(60)


@pytest.mark.parametrize(("arguments", "what"), [({"bad_step": 7}, "observation"), ({"bad_reward": 7}, "reward")])
def test_the_env_is_named_when_it_gives_nan(arguments, what):
    model = agent(envs(1, **arguments))
    with pytest.raises(NonFiniteError, match=f"env 0 gave a NaN or infinite {what} at step 7"):
        model.learn(20)
    assert present(model.replay_buffer).size() == 6


class Spaces(Drift):
    def __init__(self, observation_space=None, action_space=None):
        self.observation_space = observation_space or Drift.observation_space
        self.action_space = action_space or Drift.action_space


IMAGE = spaces.Box(0, 255, (36, 36, 3), np.uint8)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (Spaces(spaces.Dict({"a": Drift.observation_space})), "observations must be a Box, not Dict; flatten them"),
        (Spaces(IMAGE), "observations are images"),
        (Spaces(spaces.Discrete(3)), "observations must be a Box, not Discrete"),
        (Spaces(action_space=spaces.Discrete(3)), "actions must be a Box, not Discrete: TQC needs continuous actions"),
        (Spaces(action_space=spaces.Box(-np.inf, np.inf, (2,))), "the action space must be bounded"),
    ],
)
def test_other_spaces_are_refused(env, message):
    with pytest.raises(EnvError, match=message):
        TQC("MlpPolicy", env)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"buffer_size": 100, "batch_size": 101}, "buffer_size=100 is smaller than batch_size=101"),
        ({"gama": 0.9}, "TQC has no argument gama. Nearest: gamma"),
        ({"optimize_memory_usage": True}, "optimize_memory_usage=True is not supported"),
        ({"replay_buffer_class": ReplayBuffer}, "ReplayBuffer keeps its transitions on the host"),
        ({"ent_coef": "auto-0.1"}, "ent_coef must be auto"),
        ({"n_steps": 500}, "n_steps=500 does not fit"),
        ({"policy_kwargs": {"n_quantile": 4}}, "unknown word 'n_quantile'"),
        ({"top_quantiles_to_drop_per_net": 4}, "at least one must remain"),
        ({"device": "abacus"}, "unknown device 'abacus'"),
        ({"batch_size": 0}, "batch_size: .*greater than 0, got 0"),
        ({"batch_size": 2.5}, "batch_size: .*valid integer, got 2.5"),
        ({"buffer_size": 1e4}, "buffer_size: .*valid integer, got 10000.0"),
        ({"learning_starts": -1}, "learning_starts: .*greater than or equal to 0, got -1"),
        ({"tau": 2}, "tau: .*less than or equal to 1, got 2"),
        ({"gamma": float("nan")}, "gamma: .*finite number, got nan"),
        ({"gradient_steps": -2}, "gradient_steps: .*greater than or equal to -1, got -2"),
        ({"target_update_interval": 0}, "target_update_interval: .*greater than 0, got 0"),
        ({"train_freq": 0}, "train_freq: give at least 1 step, not 0"),
        ({"train_freq": (-3, "episode")}, "train_freq: give at least 1 episode, not -3"),
        ({"learning_rate": -1e-3}, "learning_rate: give a number from 0 on, .* not -0.001"),
        ({"learning_rate": "3e-4"}, "learning_rate: give a number from 0 on, .* not '3e-4'"),
        ({"noise_repeat": 0}, "noise_repeat: .*greater than 0, got 0"),
        ({"noise_repeat": 4, "use_sde": True}, "noise_repeat is for independent noise.*set sde_sample_freq"),
        ({"ent_coef_lr": -1e-3}, "ent_coef_lr: .*greater than or equal to 0, got -0.001"),
        ({"target_entropy": "low"}, "target_entropy: give auto or a number, not 'low'"),
        ({"ent_coef": float("nan")}, "ent_coef=nan: it must be finite"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        agent(**arguments)


def test_other_policies_are_refused():
    with pytest.raises(ConfigError, match="unknown policy 'CnnPolicy'"):
        TQC("CnnPolicy", envs())


def test_numbers_of_numpy_are_taken():
    assert agent(batch_size=np.int64(8), gamma=np.float32(0.5), learning_rate=np.float64(1e-3)).batch_size == 8


def test_no_env_is_refused():
    with pytest.raises(ConfigError, match="env is None; give an env"):
        TQC("MlpPolicy", None)


def test_a_file_of_another_algorithm_is_refused(tmp_path):
    SAC("MlpPolicy", envs()).save(tmp_path / "sac.zip")
    with pytest.raises(ConfigError, match=r"is a pickle of Stable-Baselines3.*trust=True"):
        TQC.load(tmp_path / "sac.zip")
    with pytest.raises(ConfigError, match="SACPolicy is the policy of another algorithm"):
        TQC.load(tmp_path / "sac.zip", trust=True)


def test_observations_are_not_normalised_twice():
    with pytest.raises(ConfigError, match="normalised twice"):
        agent(VecNormalize(envs()), {"normalize_observations": True})


def test_a_buffer_of_another_agent_is_refused(tmp_path):
    model, other = agent(), agent(envs(2))
    other.learn(30).save_replay_buffer(tmp_path / "two.pkl")
    with pytest.raises(ConfigError, match=r"holds transitions of 2 envs.* has 1 envs"):
        model.load_replay_buffer(tmp_path / "two.pkl")
    other_kind: Any = ReplayBuffer(10, Drift.observation_space, Drift.action_space)
    model.replay_buffer = other_kind
    model.save_replay_buffer(tmp_path / "torch.pkl")
    with pytest.raises(ConfigError, match="holds a ReplayBuffer of another agent"):
        agent().load_replay_buffer(tmp_path / "torch.pkl")


def test_the_package_loads_without_jax():
    code = "import sys, mvr_agents; print('TQC' in dir(mvr_agents), {'jax', 'flax', 'torch'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "True set()"


def test_missing_jax_is_named():
    code = (
        "import sys; sys.modules['jax'] = None\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'jax' else find(name, *a)\n"
        "from mvr_wrappers.errors import MissingExtraError\n"
        "try:\n    from mvr_agents import TQC\nexcept MissingExtraError as error:\n    print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert install_command("jax") in result.stdout


@pytest.mark.slow
def test_pendulum_is_learned():
    model = TQC("MlpPolicy", "Pendulum-v1", seed=0, learning_rate=1e-3, policy_kwargs={"net_arch": [64, 64]})
    model.learn(6_000)
    mean, _ = evaluate_policy(model, present(model.env), n_eval_episodes=10)
    assert of_type(float, mean) > -300  # about -1,200 at random, -150 when solved
