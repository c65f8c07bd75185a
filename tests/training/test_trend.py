import random

from triptych.training.trend import Trend


def _said(losses):
    trend = Trend()
    return [said for step, loss in enumerate(losses, 1) if (said := trend.loss(step, loss))]


def test_trend_rising_loss_is_told_once_with_its_steps():
    falling = [1 / step for step in range(1, 31)]
    rising = [0.03 * 1.2**step for step in range(40)]
    said = _said(falling + rising)
    assert len(said) == 1
    assert "risen from 0.04" in said[0]
    assert "optimizer.learning_rate" in said[0]


def test_trend_noise_of_a_healthy_run_is_not_told():
    for seed in range(20):
        chance = random.Random(seed)
        assert _said([chance.lognormvariate(-1 - step / 200, 0.8) for step in range(300)]) == []


def test_trend_held_out_loss_that_rises_twice_is_told():
    trend = Trend()
    said = [trend.held_out(step, loss) for step, loss in ((0, 1.0), (10, 0.5), (20, 0.6), (30, 0.7), (40, 0.8))]
    assert [text is not None for text in said] == [False, False, False, True, False]
    assert "lowest at step 10" in said[3]
