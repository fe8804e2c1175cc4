from __future__ import annotations

import gc
import threading
from typing import Any

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from mvr_wrappers.errors import ConfigError, FilmingError
from mvr_wrappers.filming import Camera, CameraRig, Recorder, Renderer, film
from mvr_wrappers.filming.cameras import place
from tests.support.gl_contexts import contexts_here
from tests.support.tiny_env import TinyEnv

RED, GREEN, BLUE, YELLOW = (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0)
RING = CameraRig.ring((0, 90, 180, 270), distance=4.0, elevation=-10, lookat=(0, 0, 0.5)).views


@pytest.fixture
def still() -> TinyEnv:
    """The tiny env with its ball in the middle."""
    env = TinyEnv()
    mujoco.mj_forward(env.model, env.data)
    return env


def where(frame: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Marks the pixels of a pure hue, whatever their brightness."""
    strong = frame.max(axis=-1, keepdims=True)
    return ((frame > 0.9 * strong) == np.array(colour, bool)).all(-1) & (frame.min(-1) < 0.3 * strong[..., 0])


def middle(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean (row, column) of the marked pixels, as shares of the frame."""
    assert mask.any()
    return np.argwhere(mask).mean(axis=0) / mask.shape


def model_bytes(model: mujoco.MjModel) -> bytes:
    buffer = np.empty(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return buffer.tobytes()


def test_frames_are_rgb_and_upright_and_azimuth_zero_looks_along_x(still: TinyEnv) -> None:
    # Without reflections each hue occurs once. Pillars: red at +x, green at +y, blue at -x.
    with Renderer(still.model, (120, 160)) as renderer:
        along_x, along_y, along_minus_x, along_minus_y = (renderer.render(still.data, view) for view in RING)
    assert along_x.shape == (120, 160, 3) and along_x.dtype == np.uint8
    assert middle(where(along_x, GREEN))[1] < 0.4  # looking along +x, +y is to the left
    assert middle(where(along_minus_x, GREEN))[1] > 0.6
    assert middle(where(along_y, RED))[1] > 0.6 > 0.4 > middle(where(along_y, BLUE))[1]
    assert middle(where(along_minus_y, RED))[1] < 0.4 < 0.6 < middle(where(along_minus_y, BLUE))[1]
    # The ball lies on the floor, the pillars rise above it; below is floor, above the dark of no sky.
    assert middle(where(along_y, YELLOW))[0] > middle(where(along_y, RED))[0] + 0.05
    assert along_y[-10:].mean() > along_y[:10].mean() + 50


def test_the_models_track_camera_is_one_view_among_others(still: TinyEnv) -> None:
    views = (Camera(name="track"), *RING)
    with Renderer(still.model, 64) as renderer:
        frames = [renderer.render(still.data, view) for view in views]
    for i, frame in enumerate(frames):
        assert 5 < frame.mean() < 250
        for other in frames[:i]:
            assert (frame != other).any(-1).mean() > 0.05


def test_a_tracking_view_keeps_the_body_in_the_middle(still: TinyEnv) -> None:
    views = (Camera(track=1, distance=3.0, azimuth=90), Camera(distance=3.0, lookat=(0, 0, 0), azimuth=90))
    still.data.qpos[0] = 0.6
    mujoco.mj_forward(still.model, still.data)
    with Renderer(still.model, 64) as renderer:
        followed, fixed = (middle(where(renderer.render(still.data, view), YELLOW)) for view in views)
    np.testing.assert_allclose(followed, 0.5, atol=0.02)
    assert fixed[1] > 0.6


@pytest.mark.parametrize("quality", ["fast", "full"])
def test_rendering_changes_neither_model_nor_data(still: TinyEnv, quality: Any) -> None:
    model = model_bytes(still.model)
    full = mujoco.mjtState.mjSTATE_INTEGRATION
    before, after = (np.empty(mujoco.mj_stateSize(still.model, full)) for _ in range(2))
    mujoco.mj_getState(still.model, still.data, before, full)
    derived = {name: getattr(still.data, name).copy() for name in ("xpos", "cam_xpos", "qacc", "qfrc_bias")}
    with Renderer(still.model, (700, 900), quality) as renderer:  # larger than the buffer the model asks for
        assert model_bytes(still.model) == model
        assert renderer.render(still.data, RING[0]).shape == (700, 900, 3)
    assert model_bytes(still.model) == model
    mujoco.mj_getState(still.model, still.data, after, full)
    np.testing.assert_array_equal(after, before)
    for name, value in derived.items():
        np.testing.assert_array_equal(getattr(still.data, name), value, err_msg=name)


def test_the_model_is_restored_when_the_driver_refuses(still: TinyEnv) -> None:
    model = model_bytes(still.model)
    with pytest.raises(FilmingError, match=r"OpenGL refuses .* frames of this size"):
        Renderer(still.model, 100_000)
    assert model_bytes(still.model) == model
    with Renderer(still.model, 16) as renderer:
        assert renderer.render(still.data, RING[0]).any()


def test_full_quality_is_what_mujocos_own_renderer_draws(still: TinyEnv) -> None:
    with mujoco.Renderer(still.model, 96, 128) as reference:
        reference.update_scene(still.data, place(RING[1], still.model, still.data))
        expected = reference.render()
    with Renderer(still.model, (96, 128), "full") as renderer:
        np.testing.assert_array_equal(renderer.render(still.data, RING[1]), expected)


def test_fast_leaves_out_shadows_and_smoothing() -> None:
    # A black ball in the air over a white floor, lit from above.
    model = mujoco.MjModel.from_xml_string("""
        <mujoco><worldbody><light pos="0 0 9" castshadow="true"/><geom type="plane" size="4 4 .1"/>
        <geom size=".3" pos="0 0 1" rgba="0 0 0 1"/></worldbody></mujoco>""")
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    side = Camera(elevation=-35, distance=6.0, lookat=(0, 0, 0.5))
    with Renderer(model, 96, "fast") as fast, Renderer(model, 96, "full") as full:
        plain, fine = (renderer.render(data, side).max(-1).astype(int) for renderer in (fast, full))
    ball, edge = plain < 50, np.zeros((96, 96), bool)
    edge[1:-1, 1:-1] = (plain[2:, 1:-1] < 50) | (plain[:-2, 1:-1] < 50) | (plain[1:-1, 2:] < 50)
    assert ball.any()
    shadow = ~ball & ~edge & (fine < plain - 30)
    assert shadow.sum() > 30 and np.argwhere(shadow)[:, 0].mean() > np.argwhere(ball)[:, 0].mean() + 10
    blended = (fine > 20) & (fine < plain[~ball].min() - 20) & (ball | edge)
    assert blended.any()


def test_rendering_into_an_array_writes_there(still: TinyEnv) -> None:
    frames = np.zeros((2, 32, 48, 3), np.uint8)
    with Renderer(still.model, (32, 48)) as renderer:
        assert renderer.render(still.data, RING[0], out=frames[1]).base is frames
        np.testing.assert_array_equal(renderer.render(still.data, RING[0]), frames[1])
    assert not frames[0].any()


@pytest.mark.parametrize("size", [0, -3, (0, 64), (64, -1)])
def test_sizes_must_be_positive(still: TinyEnv, size: Any) -> None:
    with pytest.raises(ConfigError, match="greater than 0"):
        Renderer(still.model, size)


def test_quality_must_be_known(still: TinyEnv) -> None:
    with pytest.raises(ConfigError, match="'fast' or 'full'"):
        Renderer(still.model, 8, "best")  # type: ignore[arg-type]


def test_one_context_a_size_and_closing_one_renderer_leaves_the_others_working(still: TinyEnv) -> None:
    other_model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><geom size="1"/></worldbody></mujoco>')
    other_data = mujoco.MjData(other_model)
    mujoco.mj_forward(other_model, other_data)
    with Renderer(still.model, 48) as alone:
        expected = [alone.render(still.data, view) for view in RING]
    assert not contexts_here()
    first, second, third = Renderer(still.model, 48), Renderer(other_model, 48), Renderer(still.model, 48, "full")
    wide = Renderer(still.model, (48, 64))
    assert len(contexts_here()) == 2
    ball = second.render(other_data, RING[0])
    third.close()
    for view, frame in zip(RING, expected, strict=True):  # models and sizes in turn
        np.testing.assert_array_equal(first.render(still.data, view), frame)
        np.testing.assert_array_equal(second.render(other_data, RING[0]), ball)
        assert wide.render(still.data, view).shape == (48, 64, 3)
    first.close()
    np.testing.assert_array_equal(second.render(other_data, RING[0]), ball)
    second.close()
    assert len(contexts_here()) == 1
    wide.close()
    assert not contexts_here()


def test_a_closed_renderer_says_so_and_closes_again_in_peace(still: TinyEnv) -> None:
    renderer = Renderer(still.model, 16)
    before = renderer.closed
    renderer.close()
    renderer.close()
    assert not before and renderer.closed
    with pytest.raises(FilmingError, match="closed"):
        renderer.render(still.data, RING[0])


def test_a_forgotten_renderer_is_freed_by_the_next(still: TinyEnv) -> None:
    forgotten = Renderer(still.model, 16)
    expected = forgotten.render(still.data, RING[0])
    del forgotten
    gc.collect()
    with Renderer(still.model, 16) as renderer:
        np.testing.assert_array_equal(renderer.render(still.data, RING[0]), expected)
    assert not contexts_here()


def test_other_peoples_contexts_do_not_disturb(still: TinyEnv) -> None:
    with Renderer(still.model, 48, "full") as ours, mujoco.Renderer(still.model, 48, 48) as theirs:
        for view in RING:
            theirs.update_scene(still.data, place(view, still.model, still.data))
            np.testing.assert_array_equal(ours.render(still.data, view), theirs.render())


def test_threads_film_side_by_side() -> None:
    def work(seed: int, results: dict[int, Any]) -> None:
        env = TinyEnv()
        env.reset(seed=seed)
        with Renderer(env.model, 48) as renderer:
            results[seed] = [renderer.render(env.data, view) for view in RING * 5]

    alone: dict[int, Any] = {}
    together: dict[int, Any] = {}
    for seed in range(3):
        work(seed, alone)
    threads = [threading.Thread(target=work, args=(seed, together)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(3):
        np.testing.assert_array_equal(together[seed], alone[seed])
    assert (together[0][0] != together[1][0]).any()


def test_a_renderer_of_another_thread_refuses(still: TinyEnv) -> None:
    made: list[Renderer] = []
    thread = threading.Thread(target=lambda: made.append(Renderer(still.model, 16)))
    thread.start()
    thread.join()
    with pytest.raises(FilmingError, match="another thread"):
        made[0].render(still.data, RING[0])
    made[0].close()


def test_film_renders_each_state_once_a_view(still: TinyEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(still.model)
    observation, _ = still.reset(seed=0)
    recorder.start(still.data, observation.astype(np.float32))
    with Renderer(still.model, (24, 32)) as renderer:
        expected = []
        for _ in range(6):
            observation, *_ = still.step([1.0, -1.0])
            recorder.append(still.data, observation.astype(np.float32))
            now = still.data.__copy__()
            mujoco.mj_forward(still.model, now)
            expected.append([renderer.render(now, view) for view in RING])
        rendered: list[int] = []
        render = Renderer.render
        monkeypatch.setattr(Renderer, "render", lambda *args, **kw: rendered.append(1) or render(*args, **kw))
        frames = film(renderer, recorder.physics, [2, 3, 6], RING)
    assert len(rendered) == 3 * len(RING)
    assert frames.shape == (4, 3, 24, 32, 3) and frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, np.swapaxes([expected[1], expected[2], expected[5]], 0, 1))
    assert (frames[:, 0] != frames[:, 2]).any()
